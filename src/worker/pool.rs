//! Threads that give way to all others, for what is computed beside what a person waits for.
//! Not here: which jobs those are.

use rayon::{ThreadPool, ThreadPoolBuilder};

/// How far they give way: a thread of ordinary priority gets about ten times as much of a processor.
#[cfg(target_os = "linux")]
const NICE: libc::c_int = 10;

/// As many threads as the machine runs at once, started when they are first needed.
#[derive(Default)]
pub struct Pool {
    threads: Option<ThreadPool>,
}

impl Pool {
    /// Does some work on these threads, and waits for it. Without threads, the work is done on this one.
    pub fn run<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        if self.threads.is_none() {
            self.threads = ThreadPoolBuilder::new()
                .thread_name(|number| format!("beside-{number}"))
                .start_handler(|_| give_way())
                .build()
                .ok();
        }
        match &self.threads {
            Some(threads) => threads.install(work),
            None => work(),
        }
    }
}

/// Lowers the priority of the calling thread, where the system lets threads have one each (Linux).
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library has no priorities")]
fn give_way() {
    // SAFETY: the call takes three numbers and touches no memory of this program. Its failure costs nothing but
    // smoothness.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn its_threads_give_way_and_the_callers_does_not() {
        #[expect(unsafe_code, reason = "see `give_way`")]
        // SAFETY: the call takes two numbers and touches no memory of this program.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        let mut pool = Pool::default();
        assert_eq!(pool.run(nice), NICE.max(before));
        assert_eq!(nice(), before);
    }
}
