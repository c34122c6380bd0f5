//! Redirected connections: the address their client dialled says which service is meant, with the call's help where
//! several are registered there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Cached, Routed, Routes, aim};
use crate::call::Target;
use crate::discovery::Services;
use crate::endpoint::Endpoint;
use crate::frame::{self, Head, Verdict};
use crate::listener::Door;
use crate::outcome::{Failed, Outcome};
use crate::registry::DialAddr;
use crate::rpc::{Reply, Request};

#[cfg(test)]
mod tests;

/// The string key of TTHeader under which Kitex names the service of the IDL.
const IDL_SERVICE: &[u8] = b"isn";
/// Kitex's type of an exception for a service that the server does not have (`remote.UnknownService`).
const UNKNOWN_SERVICE: i32 = 20;

/// How often the endpoint that a caller chose is looked for, while it is not there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where a redirected connection was going.
#[derive(Debug, Clone)]
pub struct Redirected {
    /// The address that its client dialled.
    pub origin: SocketAddr,
    /// The services that are registered there, at least one. Of several the connection's own comes first once it is
    /// told.
    pub services: Services,
    /// Which of them is meant is known.
    told: bool,
    /// When the endpoint that the caller chose was last looked for.
    looked: Option<Instant>,
}

impl Redirected {
    /// A connection to an address where these services are registered: at least one.
    #[must_use]
    pub fn new(origin: SocketAddr, services: Services) -> Self {
        Self {
            told: services.len() == 1,
            looked: None,
            origin,
            services,
        }
    }

    /// Whether several services are registered there.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.services.len() > 1
    }

    /// Whether the endpoint that the caller chose is to be looked for again, since the one known is gone, or none is.
    pub(super) fn is_stale(&self, chosen: Option<&Arc<Endpoint>>, now: Instant) -> bool {
        let due = |at: Instant| now.saturating_duration_since(at) >= LOOK_AGAIN;
        chosen.is_none_or(|it| it.is_removed()) && self.looked.is_some_and(due)
    }

    /// From now on the endpoint that the caller chose is looked for every second while there is none.
    pub(super) fn looked(&mut self, door: &Door, now: Instant) {
        self.looked = door.config().sticky_destination.then_some(now);
    }

    /// The endpoint that the caller dialled, where the listener keeps that choice.
    pub(super) fn chosen(&self, door: &Door, routed: &Routed) -> Option<Arc<Endpoint>> {
        let keeps = door.config().sticky_destination;
        keeps.then(|| routed.followed.at(self.origin)).flatten()
    }

    /// Lets a call say which of them is meant: by TTHeader's int key 6, or its string key `isn`. False if it does not.
    fn tell(&mut self, head: &Head, call: &[u8]) -> bool {
        let place = |name: &[u8]| self.services.iter().position(|it| it.as_bytes() == name);
        let named = head.tt.and_then(|tt| place(tt.to_service.of(call)));
        let idl = || {
            let mut strings = head.strings(call);
            place(strings.find(|(key, _)| *key == IDL_SERVICE)?.1)
        };
        if let Some(place) = named.or_else(idl) {
            self.services.swap(0, place);
            self.told = true;
        }
        self.told
    }
}

impl Cached {
    /// What a connection remembers at first: where it was going, if the firewall redirected it.
    #[must_use]
    pub fn new(redirected: Option<Box<Redirected>>) -> Self {
        Self {
            redirected,
            ..Self::default()
        }
    }
}

impl Routes {
    /// Where the caller was going, if the endpoint that answered does not have what was called while other services are
    /// registered there: it is known there, and was not run here.
    pub fn astray(&self, cached: &Cached, request: &Request, reply: &Reply) -> Option<DialAddr> {
        let to = cached.redirected.as_ref().filter(|to| to.is_shared())?;
        let head = reply.head.as_ref().filter(|_| request.upload.is_none())?;
        let exception = matches!(
            frame::verdict(head, &reply.frame),
            Verdict::Exception {
                type_id: Some(UNKNOWN_SERVICE)
            }
        );
        if !exception {
            return None;
        }
        let routed = self.by_name(&request.target.cluster.name);
        let there = routed.and_then(|it| it.followed.at(to.origin));
        let here = there.is_some_and(|it| it.id == request.status.touched());
        (!here).then(|| self.exactly(to))
    }

    /// Exactly where a redirected connection was going, or what a rewrite rule says that address is from here.
    pub fn exactly(&self, to: &Redirected) -> DialAddr {
        let mut routed = to.services.iter().filter_map(|it| self.by_name(it));
        let there = routed.find_map(|it| it.followed.at(to.origin));
        there.map_or(to.origin.into(), |it| it.addr.clone())
    }

    /// Where the caller was going, if neither that nor its first call says which service is meant.
    pub fn untold(
        &self,
        door: &Door,
        cached: &mut Cached,
        head: &Head,
        call: &[u8],
    ) -> Option<DialAddr> {
        let to = cached.redirected.as_mut()?;
        let named = || head.to_service(call).unwrap_or_default();
        let told = to.told || to.tell(head, call) || self.known(door, named()).is_some();
        (!told).then(|| self.exactly(to))
    }

    /// Where the caller was going, if the service there is followed no more, nor the one that this call names.
    pub fn unfollowed(
        &self,
        door: &Door,
        cached: &Cached,
        head: &Head,
        call: &[u8],
    ) -> Option<DialAddr> {
        let to = cached.redirected.as_ref()?;
        let named = head.to_service(call).unwrap_or_default();
        let gone = self.by_name(&to.services[0]).is_none() && self.known(door, named).is_none();
        gone.then(|| to.origin.into())
    }

    /// Where a redirected connection that carries no calls goes: to its service, if there is one only.
    pub fn redirect_target(&self, door: &Door, to: &Redirected) -> Option<Target> {
        let routed = self.by_name(&to.services[0]).filter(|_| !to.is_shared())?;
        Some(aim(door, &routed, b"relay", Some(to)))
    }

    /// The service of a redirected call. What the call itself says counts, then the address it was sent to.
    pub(super) fn redirected(
        &self,
        door: &Door,
        to: &Redirected,
        named: &[u8],
        now: Instant,
    ) -> Result<Routed, Failed> {
        let named = std::str::from_utf8(named).unwrap_or_default();
        let routed = self
            .known(door, named)
            .or_else(|| self.by_name(&to.services[0]));
        routed.ok_or_else(|| {
            Failed::new(Outcome::UnknownService, now).because(format!(
                "{}, at {}, is followed no more",
                to.services[0], to.origin
            ))
        })
    }

    /// Whether dialling this address would reach a listener of ours.
    pub fn is_own_listener(&self, addr: SocketAddr) -> bool {
        self.discovery.is_own_listener(addr)
    }

    /// A service that this listener may know, and that is followed.
    fn known(&self, door: &Door, name: &str) -> Option<Routed> {
        let may = !name.is_empty() && door.config().may_know(name);
        may.then(|| self.by_name(name)).flatten()
    }
}
