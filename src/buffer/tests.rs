use super::*;

#[test]
fn a_buffer_comes_back_from_the_pile_without_a_new_allocation() {
    let mut first = Buf::take();
    first.extend_from_slice(b"hello");
    let at = first.as_ptr();
    drop(first);
    let second = Buf::take();
    assert!(second.is_empty() && second.capacity() >= SIZE);
    assert_eq!(second.as_ptr(), at);
}

#[test]
fn a_buffer_whose_frame_is_still_held_does_not_come_back() {
    let mut buf = Buf::take();
    buf.extend_from_slice(b"frame");
    let frame = buf.split_to(5).freeze();
    drop(buf);
    let mut other = Buf::take();
    other.extend_from_slice(b"other");
    assert_eq!(&frame[..], b"frame");
}

#[test]
fn a_read_has_a_byte_of_room_more_than_its_frame() {
    let mut buf = Buf::take();
    buf.reserve_frame(100_000);
    assert!(buf.capacity() > 100_000);
}

#[test]
fn holding_over_the_limit_is_refused_and_given_back() {
    let mut held = Held::default();
    assert!(held.set(100));
    assert!(!held.set(usize::MAX / 2));
    assert!(held.set(40));
    assert!(held.set(0));
}
