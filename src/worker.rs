//! Threads and channels: one thread owns the session and computes, one downloads, others do beside them what takes long;
//! each slot has at most one running and one waiting job. Not here: what a job does, what an answer changes.
//!
//! What is done beside runs on threads of its own that give way to all others, so that a typed character is not
//! delayed by a table.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::report::{Kind, Report};
use crate::session::{Aide, Job, Outcome, Session, Setup};
use crate::task::{Cancel, Progress, Slot, Ticket};

mod pool;

use pool::Pool;

/// News of a job.
#[derive(Clone, Debug)]
pub struct News {
    /// The slot it was asked on.
    pub slot: Slot,
    /// Which asking.
    pub ticket: Ticket,
    /// What happened.
    pub event: Event,
}

/// What happened to a job.
#[derive(Clone, Debug)]
pub enum Event {
    /// It goes on.
    Progress(Progress),
    /// It ended.
    Done(Result<Outcome, Report>),
}

/// The threads that compute and download. Dropping it cancels what runs and waits for the threads to end.
pub struct Worker {
    compute: Lane,
    download: Lane,
    /// What is looked at: relatives, groups, writing files. Short, unless a table is missing.
    aside: Lane,
    /// What was asked for and takes long: measuring pairs, curves, cross-entropies.
    background: Lane,
    training: Lane,
    /// What will be asked for: all tables.
    tables: Lane,
    /// What is done without being asked for, once: weights packed, and how the suite is wired.
    doctor: Lane,
}

/// Where news go; called on the worker's threads.
type Send = dyn Fn(News) + std::marker::Send + Sync;

impl Worker {
    /// Starts the threads; nothing is loaded before it is asked for.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(setup: Setup, send: impl Fn(News) + std::marker::Send + Sync + 'static) -> std::io::Result<Self> {
        let send: Arc<Send> = Arc::new(send);
        // The one that downloads never loads anything: it needs only the setup.
        let (session, downloader) = (Session::new(setup.clone()), Session::new(setup));
        let aside = |name: &str| Lane::start(name, Hand::Aide(session.aide(), Pool::default()), Arc::clone(&send));
        let (aside, background, training, tables, doctor) =
            (aside("aside")?, aside("background")?, aside("training")?, aside("tables")?, aside("doctor")?);
        Ok(Self {
            compute: Lane::start("compute", Hand::Session(Box::new(session)), Arc::clone(&send))?,
            download: Lane::start("download", Hand::Downloader(Box::new(downloader)), send)?,
            aside,
            background,
            training,
            tables,
            doctor,
        })
    }

    /// Asks for a job. A job that waits on the same slot is dropped, one that runs there is cancelled.
    pub fn ask(&self, slot: Slot, ticket: Ticket, job: Job) {
        self.lane(slot).ask(slot, ticket, job);
    }

    /// Cancels what waits or runs on a slot; its end is news like any other.
    pub fn cancel(&self, slot: Slot) {
        self.lane(slot).cancel(slot);
    }

    fn lane(&self, slot: Slot) -> &Lane {
        match slot {
            Slot::Pull => &self.download,
            Slot::Family | Slot::Group | Slot::Export => &self.aside,
            Slot::Text | Slot::Pair | Slot::Curve | Slot::Loss | Slot::CurveLoss => &self.background,
            Slot::MetaTrain => &self.training,
            Slot::Tables => &self.tables,
            Slot::Pack | Slot::Doctor => &self.doctor,
            _ => &self.compute,
        }
    }
}

/// One thread and what it is to do.
struct Lane {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    send: Arc<Send>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The slots' order is that of their urgency.
    waiting: BTreeMap<Slot, (Ticket, Job)>,
    running: Option<(Slot, Cancel)>,
    closed: bool,
}

impl Lane {
    fn start(name: &str, hand: Hand, send: Arc<Send>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let thread = thread::Builder::new().name(name.to_owned()).spawn({
            let (queue, send) = (Arc::clone(&queue), Arc::clone(&send));
            move || work(&queue, hand, &*send)
        })?;
        Ok(Self { queue, thread: Some(thread), send })
    }

    fn ask(&self, slot: Slot, ticket: Ticket, job: Job) {
        let mut state = self.queue.lock();
        state.waiting.insert(slot, (ticket, job));
        state.cancel_running(slot);
        drop(state);
        self.queue.changed.notify_one();
    }

    fn cancel(&self, slot: Slot) {
        let mut state = self.queue.lock();
        let dropped = state.waiting.remove(&slot);
        state.cancel_running(slot);
        drop(state);
        if let Some((ticket, _)) = dropped {
            (self.send)(News { slot, ticket, event: Event::Done(Err(crate::task::Cancelled.into())) });
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.closed = true;
        state.waiting.clear();
        if let Some((_, cancel)) = &state.running {
            cancel.cancel();
        }
        drop(state);
        self.queue.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic outside a job has been reported by the panic hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, with its cancel flag noted as running; none when the lane is closed.
    fn next(&self) -> Option<(Slot, Ticket, Job, Cancel)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some((slot, (ticket, job))) = state.waiting.pop_first() {
                let cancel = Cancel::new();
                state.running = Some((slot, cancel.clone()));
                return Some((slot, ticket, job, cancel));
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

/// Who does a lane's jobs.
enum Hand {
    Session(Box<Session>),
    /// A session that only downloads: it waits more than it computes.
    Downloader(Box<Session>),
    Aide(Aide, Pool),
}

impl Hand {
    fn exec(&mut self, job: Job, cancel: &Cancel, progress: &(dyn Fn(Progress) + Sync)) -> Result<Outcome, Report> {
        match self {
            // Among the threads that compute: of many products in a row each would have to wake them, and be woken.
            Self::Session(session) => rayon::scope(|_| session.exec(job, cancel, &|so_far| progress(so_far))),
            Self::Downloader(session) => session.exec(job, cancel, progress),
            Self::Aide(aide, pool) => pool.run(|| aide.exec(job, cancel, &|so_far| progress(so_far))),
        }
    }

    fn forget_run(&mut self) {
        if let Self::Session(session) | Self::Downloader(session) = self {
            session.forget_run();
        }
    }
}

fn work(queue: &Queue, mut hand: Hand, send: &Send) {
    while let Some((slot, ticket, job, cancel)) = queue.next() {
        let news = |event| send(News { slot, ticket, event });
        let done = catch_unwind(AssertUnwindSafe(|| hand.exec(job, &cancel, &|p| news(Event::Progress(p)))));
        queue.lock().running = None;
        let result = done.unwrap_or_else(|panic| {
            hand.forget_run();
            Err(bug(&*panic))
        });
        news(Event::Done(result));
    }
}

fn bug(panic: &(dyn Any + std::marker::Send)) -> Report {
    let message =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    Report::new("a mistake of this program ended what was asked for")
        .because(message.unwrap_or_else(|| "it did not say why".to_owned()))
        .hint("the explorer goes on; please report it with what you did")
        .kind(Kind::Bug)
}
