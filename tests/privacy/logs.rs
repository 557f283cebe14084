//! The logs of the cases that ask for it, at their most talkative, kept in memory to be searched.

use std::{
    io::Write,
    sync::{
        Arc, Mutex, Once, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, dynamic_filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

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

/// Cases that want the logs kept now. The process runs other suites too, whose logs would fill the memory.
static WANTED: AtomicUsize = AtomicUsize::new(0);

/// Keeps the logs of the product and its server until it is dropped.
pub struct Keeping(());

impl Drop for Keeping {
    fn drop(&mut self) {
        WANTED.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Keeps what the product and its server log from now on, and nothing of the test's own client. Without times, which look
/// like coordinates.
pub fn keep() -> Keeping {
    static SUBSCRIBER: Once = Once::new();
    WANTED.fetch_add(1, Ordering::AcqRel);
    SUBSCRIBER.call_once(|| {
        let kept = KEPT.get_or_init(Kept::default).clone();
        let talkative = EnvFilter::new("sidebyside=trace,tracing_actix_web=trace,actix_web=debug,lettre=debug");
        let is_wanted = dynamic_filter_fn(|_, _| WANTED.load(Ordering::Acquire) > 0);
        let lines = fmt::layer().without_time().with_ansi(false).with_writer(move || kept.clone());
        tracing_subscriber::registry().with(lines.with_filter(talkative.and(is_wanted))).init();
    });
    Keeping(())
}

/// Everything that was said.
pub fn all() -> Vec<u8> {
    KEPT.get_or_init(Kept::default).0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
