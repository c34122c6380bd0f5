//! A ring of hashes (Karger's consistent hashing): each endpoint has points on it by its weight, and a key belongs to
//! the first point after its own hash. When an endpoint leaves, its keys go to many others and no other key moves; when
//! it returns, the same keys return.
//!
//! An endpoint's points follow from its address and its weight and nothing else, so that every process has the same
//! ring, before and after a restart. What a unit of weight is worth in points is a power of two, chosen for about 160
//! points of a mean endpoint: it changes only where the mean weight does by a good deal, and then points are only added
//! or only taken away.

/// Points of an endpoint of the mean weight, about.
const MEAN_POINTS: f64 = 160.0;
/// Points of all endpoints together, at most (but one each).
const MAX_POINTS: u64 = 1 << 18;
/// Bits of a point that say whose it is; the others are its place on the ring.
const INDEX_BITS: u32 = 20;
const INDEX: u64 = (1 << INDEX_BITS) - 1;

/// What a unit of weight is worth, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Worth(f64);

impl Worth {
    /// Of endpoints of these weights, the down ones among them: an endpoint that goes down must move no other's points.
    pub(super) fn of(weights: &[u64]) -> Self {
        let total: u64 = weights.iter().sum::<u64>().max(1);
        let mean = total as f64 / weights.len().max(1) as f64;
        let mut worth = Self((MEAN_POINTS / mean).log2().round().exp2());
        let all = |worth: Self| weights.iter().map(|w| worth.points(*w)).sum::<u64>();
        while all(worth) > MAX_POINTS.max(weights.len() as u64) {
            worth.0 /= 2.0;
        }
        worth
    }

    fn points(self, weight: u64) -> u64 {
        ((weight as f64 * self.0) as u64).max(1)
    }
}

/// See the module.
pub(super) struct Ring(Vec<u64>);

impl Ring {
    /// A ring of endpoints by their names and weights; what is found on it is an index into these.
    pub(super) fn new<'a>(endpoints: impl Iterator<Item = (&'a str, u64)>, worth: Worth) -> Self {
        let mut points = Vec::new();
        for (index, (name, weight)) in (0..=INDEX).zip(endpoints) {
            let seed = fnv(name.as_bytes());
            let place = |n: u64| (mix(seed.wrapping_add(n.wrapping_mul(GOLDEN))) & !INDEX) | index;
            points.extend((1..=worth.points(weight)).map(place));
        }
        points.sort_unstable();
        Self(points)
    }

    /// The endpoints from the place of this key on, once around; each as often as it has points.
    #[inline]
    pub(super) fn from(&self, key: &[u8]) -> impl Iterator<Item = usize> {
        let place = mix(fnv(key));
        let at = self.0.partition_point(|point| *point < place);
        let (before, after) = self.0.split_at(at);
        after.iter().chain(before).map(|it| (it & INDEX) as usize)
    }
}

/// SplitMix64's step, and its finalizer (Steele, Lea, Flood; constants of Stafford's Mix13).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// FNV-1a, which says the same in every process.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
