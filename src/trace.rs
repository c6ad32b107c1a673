//! What a ring tells those who listen to `tracing`: how long each station's thread lives, what fails, how it ends.
//!
//! Nothing here is called for an event or a batch, and without the feature nothing happens. What listens
//! is somebody else's code: it may panic, and is called when the ring has done its own part, and, but for a fault of the reset
//! hook, under no lock.

#[cfg(not(feature = "tracing"))]
pub(crate) use unheard::{faulted, life, ring_ended, ring_started};
#[cfg(feature = "tracing")]
pub(crate) use with_tracing::{faulted, life, ring_ended, ring_started};

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::{
        fmt::Display,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use tracing::{error, info, info_span, span::EnteredSpan, warn};

    use crate::{
        circuit::Circuit,
        current::Worker,
        error::{Failure, Fault},
        report::Report,
    };

    /// The calling thread is inside the station's span, for as long as what is returned lives.
    pub(crate) fn life(name: &str, worker: Worker, core: Option<usize>) -> Option<EnteredSpan> {
        let worker = worker.number();
        // Nobody's child: it may outlive whoever has started it.
        tell(|| {
            info_span!(target: "slipring", parent: None, "station", name, worker, core).entered()
        })
    }

    pub(crate) fn ring_started(circuit: &Circuit) {
        let (capacity, stations) = (circuit.capacity.slots(), &circuit.names);
        tell(|| info!(target: "slipring", capacity, ?stations, "ring started"));
    }

    pub(crate) fn faulted(fault: &Fault) {
        let (station, sequence) = (fault.station(), fault.sequence());
        tell(|| error!(target: "slipring", station, sequence, "{fault}"));
    }

    /// The ring has ended as `report` says; `trouble` is what went wrong, if something did.
    pub(crate) fn ring_ended(report: &Report, trouble: Option<&dyn Display>) {
        let published = report.published;
        tell(|| match trouble {
            None => info!(target: "slipring", published, %report, "ring ended"),
            Some(trouble) => {
                warn!(target: "slipring", published, %report, %trouble, "ring ended");
            }
        });
    }

    /// Nobody waits for ever because a listener has panicked.
    fn tell<T>(call: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(call)).map_err(Failure::panic).ok()
    }
}

#[cfg(not(feature = "tracing"))]
mod unheard {
    use std::fmt::Display;

    use crate::{circuit::Circuit, current::Worker, error::Fault, report::Report};

    pub(crate) fn life(_: &str, _: Worker, _: Option<usize>) -> impl Sized {}

    pub(crate) fn ring_started(_: &Circuit) {}

    pub(crate) fn faulted(_: &Fault) {}

    pub(crate) fn ring_ended(_: &Report, _: Option<&dyn Display>) {}
}
