//! The four states of an endpoint.

/// How an endpoint stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Calls go to it.
    Up,
    /// One call at a time goes to it, while another endpoint is up.
    Probation,
    /// It cannot be connected to, or fails its health checks.
    Down,
    /// Its tries fail: no call goes to it for a while.
    Ejected,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Up, Self::Probation, Self::Down, Self::Ejected];

    /// The value of the metric label `state`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Probation => "probation",
            Self::Down => "down",
            Self::Ejected => "ejected",
        }
    }

    /// Whether it is among those that calls may be sent to.
    pub const fn is_picked(self) -> bool {
        matches!(self, Self::Up | Self::Probation)
    }
}
