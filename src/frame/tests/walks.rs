use proptest::prelude::*;

use super::super::walk::Walk;
use super::*;

/// A Thrift value, which knows its own encoding.
#[derive(Clone, Debug)]
enum Value {
    /// A scalar: type, bytes.
    Fixed(u8, Vec<u8>),
    Text(Vec<u8>),
    Struct(Vec<(i16, Value)>),
    /// A list or set: type of the elements, elements.
    List(u8, u8, Vec<Value>),
    Map(u8, u8, Vec<(Value, Value)>),
}

impl Value {
    fn id(&self) -> u8 {
        match self {
            Self::Fixed(id, _) => *id,
            Self::Text(_) => 11,
            Self::Struct(_) => 12,
            Self::Map(..) => 13,
            Self::List(id, ..) => *id,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(_, bytes) => out.extend(bytes),
            Self::Text(text) => {
                out.extend((text.len() as u32).to_be_bytes());
                out.extend(text);
            }
            Self::Struct(fields) => {
                for (id, value) in fields {
                    out.push(value.id());
                    out.extend(id.to_be_bytes());
                    value.write(out);
                }
                out.push(0);
            }
            Self::List(_, element, values) => {
                out.push(*element);
                out.extend((values.len() as u32).to_be_bytes());
                values.iter().for_each(|value| value.write(out));
            }
            Self::Map(key, value, pairs) => {
                out.extend([*key, *value]);
                out.extend((pairs.len() as u32).to_be_bytes());
                for (key, value) in pairs {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }
}

/// A value of the type `id`, `depth` levels deep at most.
fn value(id: u8, depth: usize) -> BoxedStrategy<Value> {
    let fixed = |size| {
        prop::collection::vec(any::<u8>(), size)
            .prop_map(move |b| Value::Fixed(id, b))
            .boxed()
    };
    match id {
        2 | 3 => fixed(1),
        6 => fixed(2),
        8 => fixed(4),
        4 | 10 => fixed(8),
        16 => fixed(16),
        11 => prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(Value::Text)
            .boxed(),
        12 => structure(depth).boxed(),
        13 => (types(depth), types(depth))
            .prop_flat_map(move |(key, of)| {
                let pairs =
                    prop::collection::vec((value(key, depth - 1), value(of, depth - 1)), 0..4);
                pairs.prop_map(move |pairs| Value::Map(key, of, pairs))
            })
            .boxed(),
        list => types(depth)
            .prop_flat_map(move |of| {
                let values = prop::collection::vec(value(of, depth - 1), 0..5);
                values.prop_map(move |values| Value::List(list, of, values))
            })
            .boxed(),
    }
}

/// The types that may stand inside something `depth` levels deep.
fn types(depth: usize) -> impl Strategy<Value = u8> {
    let all: &[u8] = if depth > 1 {
        &[2, 3, 4, 6, 8, 10, 11, 16, 12, 13, 14, 15]
    } else {
        &[2, 4, 6, 8, 10, 11, 16]
    };
    prop::sample::select(all)
}

fn structure(depth: usize) -> impl Strategy<Value = Value> {
    let field = types(depth).prop_flat_map(move |id| (any::<i16>(), value(id, depth - 1)));
    prop::collection::vec(field, 0..5).prop_map(Value::Struct)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_walk_ends_exactly_where_its_struct_does(
        value in structure(4),
        chunks in prop::collection::vec(1..9_usize, 1..30),
        follow in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        let end = bytes.len();
        bytes.extend(follow);
        let mut walk = Walk::new(64, end + 10);
        walk.begin(10).unwrap();
        prop_assert_eq!(walk.feed(&bytes), Ok(Some(end)), "at once");
        walk.begin(10).unwrap();
        let (mut at, mut sizes) = (0, chunks.iter().cycle());
        let found = loop {
            prop_assert!(at + walk.need() <= end, "asks for bytes behind its end");
            let chunk = &bytes[at..bytes.len().min(at + sizes.next().unwrap())];
            match walk.feed(chunk).unwrap() {
                Some(n) => break at + n,
                None => at += chunk.len(),
            }
        };
        prop_assert_eq!(found, end, "in pieces");
        let mut tight = Walk::new(64, end + 9);
        let refused = tight.begin(10).and_then(|()| tight.feed(&bytes));
        let refused = matches!(refused, Err(BadFrame::TooLarge { .. }));
        prop_assert!(refused, "one byte over the limit");
    }
}

#[test]
fn a_long_list_of_scalars_costs_one_step() {
    let head = [15, 0, 1, 10, 0, 1, 0, 0];
    let mut walk = Walk::new(64, 16 << 20);
    walk.begin(0).unwrap();
    assert_eq!(walk.feed(&head), Ok(None));
    assert_eq!(walk.need(), (8 << 16) + 1);
    assert_eq!(walk.feed(&vec![0; 8 << 16]), Ok(None));
    assert_eq!(walk.feed(&[0, 9]), Ok(Some(1)));
}
