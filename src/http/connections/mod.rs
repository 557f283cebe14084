//! Places for connections: how many there are, who holds them, and who has to go when there is none left.
//!
//! A connection that waits for its client (for a head, a body, or as an idle one) can be closed to make room; one whose
//! request is being worked on cannot. So slow clients lose their places to new ones, and where all places are at work a
//! new connection gets one in reserve: it is answered on `/healthz` and `/readyz`, and with 503 elsewhere.

pub mod connection;
mod descriptors;
mod stream;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix_web::{
    Error as ActixError, HttpRequest, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
};

use super::{Problem, middleware::is_monitor};
use crate::{error::Error, service::limits::client_network};

pub use connection::Connection;
pub use descriptors::{Capacity, raise_descriptor_limit};
pub use stream::WatchedStream;

/// All connections of a server.
pub struct Connections {
    capacity: Capacity,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    /// By client: an IPv4 address or an IPv6 network, and the order of arrival.
    general: HashMap<IpAddr, BTreeMap<u64, Arc<Connection>>>,
    general_count: usize,
    reserved: BTreeMap<u64, Arc<Connection>>,
}

/// A place that is held until it is dropped.
pub struct Place {
    connections: Arc<Connections>,
    client: IpAddr,
    number: u64,
    /// The connection that holds it.
    pub connection: Arc<Connection>,
}

impl Connections {
    /// No connection yet.
    pub fn new(capacity: Capacity) -> Arc<Self> {
        Arc::new(Self { capacity, held: Mutex::default() })
    }

    /// A place for a connection from `peer`; a trusted proxy has no limit of its own. None when even the places in
    /// reserve are at work.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, is_trusted: bool) -> Option<Place> {
        let client = client_network(peer);
        let mut held = self.held();
        held.next += 1;
        let number = held.next;
        let is_general = held.make_room(client, is_trusted, &self.capacity);
        let connection = Arc::new(Connection::new(!is_general));
        if is_general {
            held.general.entry(client).or_default().insert(number, connection.clone());
            held.general_count += 1;
        } else {
            if held.reserved.len() >= self.capacity.reserved {
                let (oldest, waiting) = oldest_waiting(&held.reserved)?;
                if !waiting.close() {
                    return None;
                }
                held.reserved.remove(&oldest);
            }
            held.reserved.insert(number, connection.clone());
        }
        drop(held);
        Some(Place { connections: self.clone(), client, number, connection })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Whether there is a general place for `client`, perhaps one that a waiting connection has to give up.
    fn make_room(&mut self, client: IpAddr, is_trusted: bool, capacity: &Capacity) -> bool {
        let own = self.general.get(&client);
        if !is_trusted && own.is_some_and(|own| own.len() >= capacity.per_client) {
            let oldest = own.and_then(oldest_waiting).map(|(number, _)| (client, number));
            return oldest.is_some_and(|(client, number)| self.evict(client, number));
        }
        if self.general_count < capacity.general {
            return true;
        }
        let waiting = |(client, own): (&IpAddr, &BTreeMap<u64, Arc<Connection>>)| {
            oldest_waiting(own).map(|(number, connection)| (connection.waits_since(), *client, number))
        };
        let oldest = self.general.iter().filter_map(waiting).min();
        oldest.is_some_and(|(_, client, number)| self.evict(client, number))
    }

    /// Closes a connection and gives its place back at once; false when it has begun to work meanwhile.
    fn evict(&mut self, client: IpAddr, number: u64) -> bool {
        let own = self.general.get(&client);
        let is_closing = own.and_then(|own| own.get(&number)).is_some_and(|connection| connection.close());
        is_closing && self.remove(client, number).is_some()
    }

    fn remove(&mut self, client: IpAddr, number: u64) -> Option<Arc<Connection>> {
        let own = self.general.get_mut(&client)?;
        let removed = own.remove(&number)?;
        if own.is_empty() {
            self.general.remove(&client);
        }
        self.general_count -= 1;
        Some(removed)
    }
}

/// The connection that has waited longest for its client, if any waits.
fn oldest_waiting(connections: &BTreeMap<u64, Arc<Connection>>) -> Option<(u64, Arc<Connection>)> {
    let waiting = connections.iter().filter_map(|(number, one)| Some((one.waits_since()?, *number, one)));
    waiting.min_by_key(|(since, number, _)| (*since, *number)).map(|(_, number, one)| (number, one.clone()))
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.connections.held();
        if self.connection.is_reserved() {
            held.reserved.remove(&self.number);
        } else {
            held.remove(self.client, self.number);
        }
    }
}

/// The connection that a request came by; none where a test calls the app without one.
pub fn of(request: &HttpRequest) -> Option<&Arc<Connection>> {
    request.conn_data::<Arc<Connection>>()
}

/// Marks the connection as at work while its request is answered, and serves only monitors on a place in reserve.
pub async fn mark_work(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, ActixError> {
    let Some(connection) = of(request.request()).cloned() else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let is_served = connection.works() && (!connection.is_reserved() || is_monitor(request.path()));
    let mut response = if !is_served {
        let full = Problem::from(Error::Unavailable("all connections are at work")).error_response();
        request.into_response(full).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    if connection.is_reserved() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    connection.rests();
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: Capacity = Capacity { general: 4, per_client: 2, reserved: 2 };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admit(connections: &Arc<Connections>, peer: &str) -> Place {
        connections.admit(ip(peer), false).unwrap()
    }

    #[test]
    fn client_over_its_limit_loses_its_longest_waiting() {
        let connections = Connections::new(CAPACITY);
        let other = admit(&connections, "198.51.100.1");
        let (first, second) = (admit(&connections, "192.0.2.1"), admit(&connections, "::ffff:192.0.2.1"));
        assert!(first.connection.works());
        let third = admit(&connections, "192.0.2.1");
        assert!(!third.connection.is_reserved() && second.connection.is_closing());
        assert!(!first.connection.is_closing() && !other.connection.is_closing());
        drop((first, second, third, other));
        let held = connections.held();
        assert!(held.general.is_empty() && held.general_count == 0, "every place is given back once");
    }

    #[test]
    fn client_with_all_at_work_gets_a_place_in_reserve() {
        let connections = Connections::new(CAPACITY);
        let own = [admit(&connections, "2001:db8::1"), admit(&connections, "2001:db8::2")];
        own.iter().for_each(|place| assert!(place.connection.works()));
        assert!(admit(&connections, "2001:db8::3").connection.is_reserved());
        assert!(!admit(&connections, "2001:db8:0:1::3").connection.is_reserved(), "another network is another client");
    }

    #[test]
    fn full_server_takes_the_longest_waiting_place_of_all() {
        let connections = Connections::new(CAPACITY);
        let held: Vec<Place> = (1..=4).map(|last| admit(&connections, &format!("192.0.2.{last}"))).collect();
        assert!(held[0].connection.works());
        let new = admit(&connections, "192.0.2.9");
        let closing: Vec<bool> = held.iter().map(|place| place.connection.is_closing()).collect();
        assert_eq!((new.connection.is_reserved(), closing), (false, vec![false, true, false, false]));
    }

    #[test]
    fn trusted_proxy_has_no_limit_of_its_own() {
        let connections = Connections::new(CAPACITY);
        let proxy: Vec<Place> = (0..4).map(|_| connections.admit(ip("10.0.0.1"), true).unwrap()).collect();
        assert!(proxy.iter().all(|place| !place.connection.is_closing() && !place.connection.is_reserved()));
    }

    #[test]
    fn place_in_reserve_goes_to_the_newest_connection() {
        let connections = Connections::new(CAPACITY);
        let busy: Vec<Place> = (1..=4).map(|last| admit(&connections, &format!("192.0.2.{last}"))).collect();
        busy.iter().for_each(|place| assert!(place.connection.works()));
        let reserved: Vec<Place> = (0..3).map(|_| admit(&connections, "192.0.2.9")).collect();
        let closing: Vec<bool> = reserved.iter().map(|place| place.connection.is_closing()).collect();
        assert_eq!(closing, [true, false, false]);
        reserved[1..].iter().for_each(|place| assert!(place.connection.works()));
        assert!(connections.admit(ip("192.0.2.9"), false).is_none(), "monitors at work are not interrupted");
        drop(reserved);
        assert!(connections.held().reserved.is_empty());
    }
}
