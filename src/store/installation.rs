//! What is fixed when an installation starts for the first time: the resolution of home cells, and the key that hashes
//! banned addresses, which must outlive every rotation of `SECRET_KEY`.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    dialect,
    schema::installation,
};
use crate::error::Result;

/// A fixed value, if it was set.
pub fn find(conn: &mut Conn, name: &str) -> Result<Option<String>> {
    Ok(installation::table.find(name).select(installation::value).first(conn).optional()?)
}

/// Sets a value unless there is one, and returns the one that holds.
pub fn fix(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<String> {
    let row = (installation::name.eq(name), installation::value.eq(value));
    dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(installation::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(installation::table.find(name).select(installation::value).first(&mut **tx)?)
}

/// Sets a value, whether or not there is one.
pub fn put(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<()> {
    if diesel::update(installation::table.find(name)).set(installation::value.eq(value)).execute(&mut **tx)? == 0 {
        fix(tx, name, value)?;
    }
    Ok(())
}

/// The row that shows whether changes can be written. It says nothing.
const WRITE_MARK: &str = "write_mark";

/// Writes something that is another each time: SQLite writes nothing where a row stays as it is.
pub fn mark_write(tx: &mut Tx<'_>) -> Result<()> {
    let mark = hex::encode(crate::id::random_bytes::<8>());
    put(tx, WRITE_MARK, &mark)
}
