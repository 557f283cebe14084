//! The logs of the whole suite, at their most talkative, kept in memory to be searched.

use std::{
    io::Write,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::{EnvFilter, fmt};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

static KEPT: OnceLock<Kept> = OnceLock::new();

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps from now on what the product and its server say; of the test's own client nothing. Without times, which look
/// like coordinates.
pub fn keep() {
    let kept = KEPT.get_or_init(Kept::default).clone();
    let filter = EnvFilter::new("sidebyside=trace,tracing_actix_web=trace,actix_web=debug,lettre=debug");
    let _ = fmt().without_time().with_ansi(false).with_env_filter(filter).with_writer(move || kept.clone()).try_init();
}

/// Everything that was said.
pub fn all() -> Vec<u8> {
    KEPT.get_or_init(Kept::default).0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
