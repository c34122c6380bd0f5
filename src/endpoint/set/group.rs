//! The endpoints that some calls may go to: those of a lane, or the baseline, or all. Preferred ones come first.
//!
//! Preference never beats health: it is what a pick begins with, not what it ends with. A preferred endpoint that was
//! tried, is full, or is on probation with its one call in flight is passed over for any other of the group.

use std::sync::Arc;

use super::ring::Worth;
use super::tier::{Ask, Rules, Tier};
use super::{Member, Pick};
use crate::config::{Balance, Preference, Share};
use crate::endpoint::{Endpoint, LineId};

/// See the module.
pub(super) struct Group {
    /// The line of those who wait for a place in it.
    pub(super) id: LineId,
    /// All of its endpoints, down ones too: their places in the set.
    pub(super) registered: Vec<u32>,
    /// The preferred ones, while there are others.
    first: Tier,
    /// The others; or all, where none are preferred, or all are.
    rest: Tier,
    /// Which preference counts.
    pub(super) preferred: Option<Preferred>,
}

/// The preference that counts in a group.
#[derive(Clone, Copy)]
pub(super) struct Preferred {
    /// Which item of `prefer`.
    pub(super) item: usize,
    pub(super) live: usize,
    pub(super) registered: usize,
}

/// What a policy prefers.
pub(super) struct Taste {
    pub(super) prefer: Vec<Preference>,
    pub(super) min_share: Share,
}

impl Taste {
    /// Whether the endpoint is one of those that this item of `prefer` means.
    pub(super) fn fits(&self, item: usize, member: &Member) -> bool {
        match &self.prefer[item] {
            Preference::ThisHost => member.here,
            Preference::Tag(tag, value) => member.tags.get(tag) == Some(value),
        }
    }
}

impl Group {
    /// A group of these of all endpoints.
    pub(super) fn new(
        id: LineId,
        registered: Vec<u32>,
        all: &[Member],
        taste: &Taste,
        rules: &Rules,
    ) -> Self {
        let members = || registered.iter().map(|i| &all[*i as usize]);
        let live = |m: &&Member| rules.is_live(&m.endpoint.health);
        let preferred = (0..taste.prefer.len()).find_map(|item| {
            let of_it = || members().filter(|m| taste.fits(item, m));
            let it = Preferred {
                item,
                live: of_it().filter(live).count(),
                registered: of_it().count(),
            };
            let enough = taste
                .min_share
                .is_reached(it.live as u64, it.registered as u64);
            (it.live > 0 && enough).then_some(it)
        });
        let is_first = |m: &&Member| preferred.is_some_and(|it| taste.fits(it.item, m));
        let (mut first, mut rest): (Vec<_>, Vec<_>) = members().filter(live).partition(is_first);
        if rest.is_empty() {
            std::mem::swap(&mut first, &mut rest);
        }
        let worth = match rules.balance {
            Balance::ConsistentHash => {
                let weights = members().map(|m| u64::from(m.weight.max(1)));
                Worth::of(&weights.collect::<Vec<_>>())
            }
            _ => Worth::of(&[]),
        };
        Self {
            id,
            first: Tier::new(&first, rules, worth),
            rest: Tier::new(&rest, rules, worth),
            registered,
            preferred,
        }
    }

    /// How many of its endpoints may be picked.
    #[inline]
    pub(super) fn live(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// The preferred ones while there are others, and the others; of those that may be picked.
    pub(super) fn tiers(&self) -> (&Tier, &Tier) {
        (&self.first, &self.rest)
    }

    /// The one endpoint that may be picked, where there is no other.
    pub(super) fn only_live(&self) -> Option<&Arc<Endpoint>> {
        let mut live = self.first.endpoints().chain(self.rest.endpoints());
        live.next().filter(|_| self.live() == 1)
    }

    /// Whether there is an endpoint that may be picked and was not tried.
    pub(super) fn has_other(&self, is_tried: impl Fn(&Arc<Endpoint>) -> bool) -> bool {
        let mut all = self.first.endpoints().chain(self.rest.endpoints());
        all.any(|endpoint| !is_tried(endpoint))
    }

    /// Picks an endpoint with a free place, not one that was tried while there is another.
    #[inline]
    pub(super) fn pick(&self, ask: &Ask<'_>) -> Pick {
        let picked = match (self.first.len(), self.rest.len()) {
            (0, 0) => return Pick::Nothing,
            (0, 1) => self.rest.only(ask),
            (0, _) => self.rest.pick(ask).or_else(|| self.search(ask)),
            _ => self.prefer(ask),
        };
        picked.map_or(Pick::Full(self.id), Pick::One)
    }

    fn prefer(&self, ask: &Ask<'_>) -> Option<crate::endpoint::Place> {
        self.first
            .pick(ask)
            .or_else(|| self.first.plain(ask))
            .or_else(|| self.rest.pick(ask))
            .or_else(|| self.search(ask))
    }

    /// What sampling did not find: any endpoint with a free place, those not tried first. Reached only when most are
    /// full or tried.
    #[cold]
    fn search(&self, ask: &Ask<'_>) -> Option<crate::endpoint::Place> {
        self.first
            .untried(ask)
            .or_else(|| self.rest.untried(ask))
            .or_else(|| self.first.whatever(ask))
            .or_else(|| self.rest.whatever(ask))
    }
}
