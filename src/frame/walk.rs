//! A walk over one Thrift struct in binary protocol, which is all that tells where a buffered message ends.
//!
//! The bytes come in pieces of any size and each is looked at once. Nothing is decoded: scalars are skipped, as are
//! strings and whole collections of scalars. The stack is explicit and bounded, so no input can recurse, and a count
//! that cannot fit the frame's limit is refused before its elements come.

use super::BadFrame;

/// Thrift's types, as the binary protocol numbers them.
mod ty {
    pub(super) const STOP: u8 = 0;
    pub(super) const STRING: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const MAP: u8 = 13;
    pub(super) const SET: u8 = 14;
    pub(super) const LIST: u8 = 15;
}

/// Bytes of a value whose type alone fixes them; 0 for all others.
#[inline]
fn fixed(id: u8) -> u64 {
    match id {
        2 | 3 => 1,
        6 => 2,
        8 => 4,
        4 | 10 => 8,
        16 => 16,
        _ => 0,
    }
}

/// The least bytes that a value of this type takes; 0 for a type that does not exist.
#[inline]
fn least(id: u8) -> u64 {
    match id {
        ty::STRUCT => 1,
        ty::STRING => 4,
        ty::SET | ty::LIST => 5,
        ty::MAP => 6,
        _ => fixed(id),
    }
}

/// Bytes of a value's own head: a length, or types and a count.
#[inline]
fn head(id: u8) -> usize {
    match id {
        ty::STRING => 4,
        ty::SET | ty::LIST => 5,
        ty::MAP => 6,
        _ => 0,
    }
}

/// What encloses the value that the walk is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Struct,
    /// `left` values still to come; in a map those that leave an odd number are values.
    Values {
        left: u32,
        even: u8,
        odd: u8,
    },
}

/// What comes next, after the bytes to skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A field's type, or the stop byte.
    Field,
    /// A string's length, a collection's head, or a struct.
    Value(u8),
    /// Nothing: the outermost value has ended.
    End,
}

/// A walk, somewhere on its way.
#[derive(Debug)]
pub(super) struct Walk {
    levels: Vec<Level>,
    next: Next,
    /// Bytes to pass over before `next`.
    skip: u64,
    /// The first bytes of a length or a collection's head that was cut.
    carry: [u8; 6],
    carried: usize,
    /// Offset in the frame of the first byte that was not yet looked at, skipped ones included.
    at: u64,
    depth: usize,
    max_frame: usize,
}

impl Walk {
    /// A walk of frames that may have `max_frame` bytes and be `depth` levels deep.
    pub(super) fn new(depth: usize, max_frame: usize) -> Self {
        Self {
            levels: Vec::new(),
            next: Next::End,
            skip: 0,
            carry: [0; 6],
            carried: 0,
            at: 0,
            depth,
            max_frame,
        }
    }

    /// Begins at a struct's first field, at offset `at` of its frame.
    #[inline]
    pub(super) fn begin(&mut self, at: usize) -> Result<(), BadFrame> {
        self.levels.clear();
        self.levels.push(Level::Struct);
        (self.next, self.skip, self.carried, self.at) = (Next::Field, 0, 0, at as u64);
        self.fits(1)
    }

    /// Begins at a value of type `id`, at offset `at` of its frame.
    pub(super) fn begin_value(&mut self, id: u8, at: usize) -> Result<(), BadFrame> {
        self.levels.clear();
        (self.next, self.skip, self.carried, self.at) = (Next::End, 0, 0, at as u64);
        self.expect(id)
    }

    /// The least number of bytes until it can end.
    pub(super) fn need(&self) -> usize {
        let token = match self.next {
            Next::End => 0,
            Next::Field => 1,
            Next::Value(id) => (least(id) as usize).max(1) - self.carried,
        };
        (self.skip as usize).saturating_add(token).max(1)
    }

    /// Takes the bytes that follow those already taken: all of them (`None`), or `Some(n)` if the walk ends after n.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, BadFrame> {
        let mut at = 0;
        loop {
            let rest = bytes.len() - at;
            if self.skip > 0 {
                let step = self.skip.min(rest as u64);
                self.skip -= step;
                at += step as usize;
                if self.skip > 0 {
                    return Ok(None);
                }
            }
            match self.next {
                Next::End => return Ok(Some(at)),
                Next::Field => {
                    let Some(&id) = bytes.get(at) else {
                        return Ok(None);
                    };
                    at += 1;
                    self.field(id)?;
                }
                Next::Value(id) => {
                    let Some(token) = self.token(bytes, &mut at, head(id)) else {
                        return Ok(None);
                    };
                    self.value(id, token)?;
                }
            }
        }
    }

    /// The next `size` bytes, of which some may have come before; `None`, and the rest kept, if they are not all there.
    #[inline]
    fn token(&mut self, bytes: &[u8], at: &mut usize, size: usize) -> Option<[u8; 6]> {
        if let (0, Some(whole)) = (self.carried, bytes[*at..].first_chunk()) {
            *at += size;
            return Some(*whole);
        }
        let step = (size - self.carried).min(bytes.len() - *at);
        self.carry[self.carried..self.carried + step].copy_from_slice(&bytes[*at..*at + step]);
        self.carried += step;
        *at += step;
        if self.carried < size {
            return None;
        }
        self.carried = 0;
        Some(self.carry)
    }

    /// A field's first byte.
    #[inline]
    fn field(&mut self, id: u8) -> Result<(), BadFrame> {
        self.at += 1;
        if id == ty::STOP {
            self.levels.pop();
            return self.ascend();
        }
        self.pass(2)?; // the field's id
        self.expect(id)
    }

    /// Goes to a value of type `id`.
    #[inline]
    fn expect(&mut self, id: u8) -> Result<(), BadFrame> {
        if least(id) == 0 {
            return Err(BadFrame::Type {
                at: self.at as usize,
                id,
            });
        }
        self.fits(least(id))?;
        self.next = Next::Value(id);
        Ok(())
    }

    /// A value's own head: nothing, a length, or types and a count.
    #[inline]
    fn value(&mut self, id: u8, token: [u8; 6]) -> Result<(), BadFrame> {
        let [a, b, c, d, e, f] = token;
        match id {
            ty::STRUCT => self.descend(Level::Struct),
            ty::STRING => {
                let len = self.count([a, b, c, d], "string")?;
                self.at += 4;
                self.pass(u64::from(len))?;
                self.ascend()
            }
            ty::MAP => {
                let count = self.count([c, d, e, f], "map")?;
                self.at += 6;
                self.collection(count, 2, a, b)
            }
            ty::LIST | ty::SET => {
                let count = self.count([b, c, d, e], "list")?;
                self.at += 5;
                self.collection(count, 1, a, a)
            }
            scalar => {
                self.pass(fixed(scalar))?;
                self.ascend()
            }
        }
    }

    /// `count` times `each` values, of type `even` and `odd` by turns.
    fn collection(&mut self, count: u32, each: u32, even: u8, odd: u8) -> Result<(), BadFrame> {
        if count == 0 {
            return self.ascend(); // some writers leave the types of an empty one unset
        }
        if let Some(&id) = [even, odd].iter().find(|id| least(**id) == 0) {
            return Err(BadFrame::Type {
                at: self.at as usize,
                id,
            });
        }
        let pair = |size: fn(u8) -> u64| size(even) + if each == 2 { size(odd) } else { 0 };
        self.fits(u64::from(count) * pair(least))?;
        if fixed(even) > 0 && fixed(odd) > 0 {
            self.pass(u64::from(count) * pair(fixed))?;
            return self.ascend();
        }
        self.descend(Level::Values {
            left: count * each,
            even,
            odd,
        })
    }

    #[inline]
    fn descend(&mut self, level: Level) -> Result<(), BadFrame> {
        if self.levels.len() >= self.depth {
            return Err(BadFrame::Depth {
                at: self.at as usize,
                limit: self.depth,
            });
        }
        self.levels.push(level);
        self.ascend()
    }

    /// After a value's end: on to the next one of what encloses it.
    #[inline]
    fn ascend(&mut self) -> Result<(), BadFrame> {
        while let Some(level) = self.levels.last_mut() {
            match level {
                Level::Struct => {
                    self.next = Next::Field;
                    return self.fits(1);
                }
                Level::Values { left: 0, .. } => drop(self.levels.pop()),
                Level::Values { left, even, odd } => {
                    let id = if *left % 2 == 0 { *even } else { *odd };
                    *left -= 1;
                    return self.expect(id);
                }
            }
        }
        self.next = Next::End;
        Ok(())
    }

    /// Passes over `len` bytes that need no look.
    #[inline]
    fn pass(&mut self, len: u64) -> Result<(), BadFrame> {
        self.fits(len)?;
        self.skip += len;
        self.at += len;
        Ok(())
    }

    /// Whether `len` more bytes keep within the frame's limit.
    #[inline]
    fn fits(&self, len: u64) -> Result<(), BadFrame> {
        let len = self.at.saturating_add(len);
        if len > self.max_frame as u64 {
            return Err(BadFrame::TooLarge {
                len,
                limit: self.max_frame,
                head: None,
            });
        }
        Ok(())
    }

    #[inline]
    fn count(&self, bytes: [u8; 4], what: &'static str) -> Result<u32, BadFrame> {
        let len = i32::from_be_bytes(bytes);
        u32::try_from(len).map_err(|_| BadFrame::Negative {
            at: self.at as usize,
            len,
            what,
        })
    }
}
