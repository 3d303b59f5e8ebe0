//! Threads and channels: one thread owns the session and computes, one downloads, others answer beside them what takes
//! long; each slot has at most one running and one waiting question. Not here: what a question is, what an answer changes.
//!
//! What is done beside runs on threads of its own that give way to all others, so that a typed character is not
//! delayed by a table.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::guard;
use crate::report::{Kind, Report};
use crate::session::{BackgroundSession, Lane, Session, SessionConfig, Slot};
use crate::task::{Cancel, Progress, Ticket};

mod job;
mod pool;

pub use job::{Answer, Event, Job, JobEvent};

use pool::Pool;

/// The threads that compute and download. Dropping it cancels what runs and waits for the threads to end.
pub struct Worker {
    threads: BTreeMap<Lane, Thread>,
}

/// Where events go; called on the worker's threads.
type Send = dyn Fn(JobEvent) + std::marker::Send + Sync;

impl Worker {
    /// Starts the threads; nothing is loaded before it is asked for.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        setup: &SessionConfig,
        send: impl Fn(JobEvent) + std::marker::Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let send: Arc<Send> = Arc::new(send);
        let session = Session::new(setup.clone());
        let (background, mut session) = (session.background(), Some(session));
        let mut threads = BTreeMap::new();
        for lane in Lane::ALL {
            let executor = match (lane, session.take_if(|_| lane == Lane::Compute)) {
                (_, Some(session)) => Executor::Session(Box::new(session)),
                // It never loads anything.
                (Lane::Download, None) => Executor::Downloader(Box::new(setup.clone())),
                (_, None) => Executor::Background(background.clone(), Pool::default()),
            };
            threads.insert(lane, Thread::start(lane.name(), executor, Arc::clone(&send))?);
        }
        Ok(Self { threads })
    }

    /// Asks a question. One that waits on the same slot is dropped, one that is being answered there is cancelled.
    pub fn ask(&self, ticket: Ticket, job: Job) {
        if let Some(thread) = self.threads.get(&job.lane()) {
            thread.ask(ticket, job);
        }
    }

    /// Cancels what waits or is being answered on a slot; its end is an event like any other.
    pub fn cancel(&self, slot: Slot) {
        self.threads.values().for_each(|thread| thread.cancel(slot));
    }
}

/// One thread and what it is to do.
struct Thread {
    queue: Arc<Queue>,
    handle: Option<JoinHandle<()>>,
    send: Arc<Send>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The most urgent first, and of equally urgent ones in the order of their names.
    waiting: BTreeMap<(u8, Slot), (Ticket, Job)>,
    running: Option<(Slot, Cancel)>,
    closed: bool,
}

impl Thread {
    fn start(name: &str, executor: Executor, send: Arc<Send>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let handle = thread::Builder::new().name(name.to_owned()).spawn({
            let (queue, send) = (Arc::clone(&queue), Arc::clone(&send));
            move || work(&queue, executor, &*send)
        })?;
        Ok(Self { queue, handle: Some(handle), send })
    }

    fn ask(&self, ticket: Ticket, job: Job) {
        let mut state = self.queue.lock();
        let slot = job.slot();
        state.waiting.insert((job.priority(), slot), (ticket, job));
        state.cancel_running(slot);
        drop(state);
        self.queue.changed.notify_one();
    }

    fn cancel(&self, slot: Slot) {
        let mut state = self.queue.lock();
        let dropped: Vec<Ticket> =
            state.waiting.extract_if(.., |(_, waits), _| *waits == slot).map(|(_, (ticket, _))| ticket).collect();
        state.cancel_running(slot);
        drop(state);
        for ticket in dropped {
            (self.send)(JobEvent { ticket, event: Event::Done(Err(crate::task::Cancelled.into())) });
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.closed = true;
        state.waiting.clear();
        if let Some((_, cancel)) = &state.running {
            cancel.cancel();
        }
        drop(state);
        self.queue.changed.notify_one();
        if let Some(handle) = self.handle.take() {
            // A panic outside a job has been reported by the panic hook; there is nobody left to tell.
            let _ = handle.join();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, with its cancel flag noted as running; none when the thread is to end.
    fn next(&self) -> Option<(Ticket, Job, Cancel)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(((_, slot), (ticket, job))) = state.waiting.pop_first() {
                let cancel = Cancel::new();
                state.running = Some((slot, cancel.clone()));
                return Some((ticket, job, cancel));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn cancel_running(&self, slot: Slot) {
        if let Some((running, cancel)) = &self.running
            && *running == slot
        {
            cancel.cancel();
        }
    }
}

/// Who answers on a thread.
enum Executor {
    Session(Box<Session>),
    /// Who only downloads: it waits more than it computes.
    Downloader(Box<SessionConfig>),
    Background(BackgroundSession, Pool),
}

impl Executor {
    fn answer(&mut self, job: &Job, cancel: &Cancel, progress: &(dyn Fn(Progress) + Sync)) -> Result<Answer, Report> {
        match self {
            // Among the threads that compute: of many products in a row each would have to wake them, and be woken.
            Self::Session(session) => rayon::scope(|_| job.run(&mut session.cx(cancel, &|so_far| progress(so_far)))),
            Self::Downloader(setup) => job.run(&mut setup.cx(cancel, progress)),
            Self::Background(session, pool) => {
                pool.run(|| session.with(cancel, &|so_far| progress(so_far), |cx| job.run(cx)))
            }
        }
    }

    fn forget_run(&mut self) {
        if let Self::Session(session) = self {
            session.forget_run();
        }
    }
}

fn work(queue: &Queue, mut executor: Executor, send: &Send) {
    while let Some((ticket, job, cancel)) = queue.next() {
        let told = |event| send(JobEvent { ticket, event });
        let done = catch_unwind(AssertUnwindSafe(|| executor.answer(&job, &cancel, &|p| told(Event::Progress(p)))));
        queue.lock().running = None;
        let result = done.unwrap_or_else(|panic| {
            executor.forget_run();
            Err(bug(&*panic))
        });
        told(Event::Done(result));
    }
}

fn bug(panic: &(dyn Any + std::marker::Send)) -> Report {
    Report::new("internal error")
        .because(guard::message(panic))
        .hint("the explorer keeps running; please report it with what you did")
        .kind(Kind::Bug)
}
