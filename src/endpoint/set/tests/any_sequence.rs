//! Whatever comes and goes: a call is sent nowhere that its lane does not allow, and preference loses no call.

use proptest::prelude::*;

use super::*;

const ENVS: [&str; 4] = ["", "env=alice", "env=bob", "env=carol"];

#[derive(Clone, Debug)]
enum Step {
    /// An endpoint goes down, or comes back.
    Down(usize),
    Up(usize),
    /// It is registered anew with other tags, here or elsewhere.
    Tags(usize, usize, bool),
    /// Its places are taken, or given back.
    Fill(usize),
    Free,
}

fn step(n: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..n).prop_map(Step::Down),
        (0..n).prop_map(Step::Up),
        (0..n, 0..ENVS.len(), any::<bool>()).prop_map(|(n, env, here)| Step::Tags(n, env, here)),
        (0..n).prop_map(Step::Fill),
        Just(Step::Free),
    ]
}

/// Where a call of this environment may go, by the plain reading of the rules.
fn allowed(set: &EndpointSet, env: &str, fallback: bool) -> Vec<usize> {
    let has = |m: &Member, env: &str| m.tags.get("env").unwrap_or_default() == env;
    let up = |m: &Member| m.endpoint.health.state().is_picked();
    let of = |env: &str| -> Vec<usize> {
        let all = set.all.iter().enumerate();
        let fitting = all.filter(|(_, m)| has(m, env) && up(m));
        fitting.map(|(at, _)| at).collect()
    };
    let lane = of(env);
    if env.is_empty() || !lane.is_empty() || !fallback {
        return lane;
    }
    of("")
}

fn balances() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("least_loaded"),
        Just("weighted_round_robin"),
        Just("weighted_random"),
        Just("consistent_hash"),
    ]
}

proptest! {
    #[test]
    fn a_call_never_leaves_its_lane_but_for_the_baseline(
        steps in proptest::collection::vec(step(6), 1..30),
        fallback in any::<bool>(),
        balance in balances(),
        tried in proptest::collection::vec(0..6_usize, 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let table = format!(
            "balance='{balance}'\n{}prefer=['this_host']\n\
             [[service.lane]]\nwhen={{env='*'}}\nuse={{env='{{env}}'}}\nfallback={fallback}\n",
            if balance == "consistent_hash" { "hash_key='env'\n" } else { "" }
        );
        let (policy, peers) = (read(&table), Arc::<Peers>::default());
        let mut all = tagged(&["", "", "env=alice", "env=alice", "env=bob", ""], &peers);
        let mut places = Vec::new();
        for step in steps {
            match step {
                Step::Down(n) => fail(&all[n]),
                Step::Up(n) => { all[n].endpoint.health.connected(); }
                Step::Tags(n, env, here) => {
                    all[n].tags = tags(ENVS[env]);
                    all[n].here = here;
                }
                Step::Fill(n) => places.extend(all[n].endpoint.place(1)),
                Step::Free => places.clear(),
            }
            let set = EndpointSet::new(all.clone(), &policy, peers.clone());
            for says in ENVS {
                let env = says.strip_prefix("env=").unwrap_or_default();
                let (call, may) = (Call::new(says), allowed(&set, env, fallback));
                let mut before = Tried::default();
                tried.iter().for_each(|n| before.push(set.all[*n].endpoint.id));
                let free = |at: &usize| set.all[*at].endpoint.busy() == 0;
                let pick = set.pick(&call, &before, 1, Instant::now());
                match &pick {
                    Pick::One(place) => prop_assert!(may.contains(&at(&set, place)), "{says} {may:?}"),
                    Pick::Full(_) => prop_assert!(!may.is_empty() && !may.iter().any(free), "{says}"),
                    Pick::Nothing => prop_assert!(may.is_empty(), "{says}"),
                }
                drop(pick);
                prop_assert_eq!(set.live(&call), may.len());
                let scope = set.scope(&call);
                for endpoint in scope.endpoints() {
                    let m = set.all.iter().find(|m| m.endpoint.id == endpoint.id).unwrap();
                    let tag = m.tags.get("env").unwrap_or_default();
                    let own = !env.is_empty() && tag == env;
                    prop_assert!(own || tag.is_empty() && (fallback || env.is_empty()), "{says}: {tag}");
                }
            }
        }
    }
}
