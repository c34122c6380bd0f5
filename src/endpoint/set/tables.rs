//! The tables that a pick reads: made once per set.

/// Slots of a schedule at most: beyond, weights are scaled down.
pub(super) const MAX_SLOTS: u64 = 65_536;

/// An alias table (Walker, Vose): for each slot the chance, of 2³² − 1, to stay there, and where to go else.
#[derive(Default)]
pub(super) struct Alias(Vec<(u32, u32)>);

impl Alias {
    /// Vose's method.
    pub(super) fn new(weights: &[u64]) -> Self {
        let (n, total) = (weights.len(), weights.iter().sum::<u64>());
        let mut scaled: Vec<f64> = weights
            .iter()
            .map(|w| *w as f64 * n as f64 / total.max(1) as f64)
            .collect();
        let mut table: Vec<(u32, u32)> = (0..n).map(|i| (u32::MAX, i as u32)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|i| scaled[*i] < 1.0);
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            table[poor] = ((scaled[poor] * f64::from(u32::MAX)) as u32, rich as u32);
            scaled[rich] -= 1.0 - scaled[poor];
            if scaled[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Self(table)
    }

    /// An index, by weight. There is one.
    #[inline]
    pub(super) fn sample(&self) -> usize {
        let random = fastrand::u64(..);
        let slot = ((random >> 32) * self.0.len() as u64) >> 32;
        let (stay, other) = self.0[slot as usize];
        if (random as u32) <= stay {
            slot as usize
        } else {
            other as usize
        }
    }
}

/// Every endpoint as often as its weight says, spread as evenly as it goes: the earliest due comes next.
pub(super) fn schedule(weights: &[u64]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u64 = weights.iter().map(|w| w / divisor).sum();
    let most = MAX_SLOTS.max(weights.len() as u64);
    let times: Vec<u64> = weights
        .iter()
        .map(|w| {
            if total <= most {
                w / divisor
            } else {
                (w / divisor * most / total).max(1)
            }
        })
        .collect();
    // An endpoint of weight w is due at (k + ½) / w: sorting all dues is the earliest-deadline-first order.
    let mut due: Vec<(f64, u32)> = Vec::with_capacity(times.iter().sum::<u64>() as usize);
    for (i, n) in times.iter().enumerate() {
        due.extend((0..*n).map(|k| ((k as f64 + 0.5) / *n as f64, i as u32)));
    }
    due.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    due.into_iter().map(|(_, i)| i).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
