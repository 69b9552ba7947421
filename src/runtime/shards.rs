//! Data-plane threads: one single-threaded runtime with a `LocalSet` each, so that nothing on the request path needs a lock or `Send`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Work that waits for a shard to take it: a burst of accepts, not a store. When it is full, accepting pauses.
const BACKLOG: usize = 256;

/// The shards of the process.
pub struct Shards<T> {
    shards: Vec<Shard<T>>,
}

struct Shard<T> {
    work: mpsc::Sender<Assigned<T>>,
    load: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// One piece of work and the place that it takes on its shard until it is dropped.
pub struct Assigned<T> {
    /// The work.
    pub work: T,
    /// Keep it as long as the work lasts.
    pub load: Load,
}

/// One unit of a shard's load.
pub struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Target<T> = (mpsc::Sender<Assigned<T>>, Arc<AtomicUsize>);

/// The sending side of the shards: gives work to the least busy one. Cheap to clone.
pub struct Dispatch<T> {
    targets: Arc<Vec<Target<T>>>,
}

impl<T> Clone for Dispatch<T> {
    fn clone(&self) -> Self {
        Self { targets: Arc::clone(&self.targets) }
    }
}

impl<T> Dispatch<T> {
    /// Gives `work` to the shard with the least load; waits while that shard's backlog is full.
    ///
    /// # Errors
    /// Gives the work back when the shard has ended.
    ///
    /// # Cancel safety
    /// Dropping the future drops the work.
    pub async fn give(&self, work: T) -> Result<(), T> {
        let Some((sender, load)) = self.targets.iter().min_by_key(|(_, load)| load.load(Ordering::Relaxed)) else {
            return Err(work);
        };
        load.fetch_add(1, Ordering::Relaxed);
        let assigned = Assigned { work, load: Load(Arc::clone(load)) };
        sender.send(assigned).await.map_err(|refused| refused.0.work)
    }
}

impl<T: Send + 'static> Shards<T> {
    /// Starts one thread for each of `workers`; a worker makes the shard's task on its own thread and returns when the shard is done.
    ///
    /// # Errors
    /// A thread or its runtime cannot be made.
    pub fn start<W, F>(workers: Vec<W>) -> std::io::Result<Self>
    where
        W: FnOnce(mpsc::Receiver<Assigned<T>>) -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let start = |(index, worker): (usize, W)| {
            let (work, receiver) = mpsc::channel(BACKLOG);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(61).build()?;
            let name = format!("shard-{index}");
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, worker(receiver));
            })?;
            Ok(Shard { work, load: Arc::new(AtomicUsize::new(0)), thread })
        };
        let shards = workers.into_iter().enumerate().map(start).collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self { shards })
    }

    /// The sending side.
    pub fn dispatch(&self) -> Dispatch<T> {
        let targets = self.shards.iter().map(|shard| (shard.work.clone(), Arc::clone(&shard.load))).collect();
        Dispatch { targets: Arc::new(targets) }
    }

    /// Waits for every shard to end; they end when their workers return. Blocks.
    pub fn join(self) {
        for shard in self.shards {
            drop(shard.work);
            if shard.thread.join().is_err() {
                tracing::error!("a shard ended in a panic");
            }
        }
    }
}
