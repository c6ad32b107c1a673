//! The plan for each machine, to the core.

mod common;

use common::{Tree, container_legacy, container_unified, laptop, server, server_by_default};
use slipring_placement::{Choice, Machine, Placement, Reason, Remark, Unpinned};

fn plan(tree: &Tree, threads: &str) -> Placement {
    Placement::on(&Machine::read(tree.root()), threads.split(' '))
}

fn cores(plan: &Placement) -> Vec<Option<usize>> {
    plan.seats().iter().map(slipring_placement::Seat::core).collect()
}

fn reasons(plan: &Placement, index: usize) -> &[Reason] {
    match plan.seats()[index].choice() {
        Choice::Pinned { reasons, .. } => reasons,
        other => panic!("{other} is no pinned thread"),
    }
}

#[test]
fn fast_physical_cores_first_then_slow_ones_then_siblings() {
    let plan = plan(&laptop(), "a b c d e f g h i j");
    // Core 0 is the system's and 2 has the interrupts, so their siblings stand in for them.
    assert_eq!(cores(&plan), [4, 6, 1, 3, 8, 9, 10, 11, 5, 7].map(Some), "{plan}");
    assert!(reasons(&plan, 4).contains(&Reason::Slow), "{plan}");
    assert!(reasons(&plan, 8).iter().any(|why| matches!(why, Reason::Beside(_))), "{plan}");
    assert_eq!(plan.remarks(), []);
}

#[test]
fn a_short_flow_stays_on_the_isolated_cores_of_one_node() {
    let plan = plan(&server(), "producer risk");
    assert_eq!(cores(&plan), [Some(2), Some(3)], "{plan}");
    assert_eq!(
        plan.to_string(),
        "producer  core 2: isolated, without a timer tick; alone on its physical core (keep 10 free)\n\
         risk      core 3: isolated, without a timer tick; shares a cache with `producer`; alone on its \
         physical core (keep 11 free)"
    );
}

#[test]
fn the_readme_shows_the_plan_of_this_machine() {
    let plan = plan(&server(), "producer created risk ledger").to_string();
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&format!("```text\n{plan}\n```")), "{plan}");
}

#[test]
fn a_longer_flow_crosses_to_the_other_node_once() {
    let plan = plan(&server(), "a b c d e f g h i");
    // The ninth gets the best core that is not isolated: 0 has the system, 1 the interrupts, and 8 and 9
    // are their siblings, while 4 is quiet.
    let expected = [2, 3, 10, 11, 6, 7, 14, 15, 4];
    assert_eq!(cores(&plan), expected.map(Some), "{plan}");
    assert_eq!(plan.to_string().matches("another package").count(), 1, "{plan}");
}

#[test]
fn isolated_cores_out_of_reach_are_told() {
    let plan = plan(&server_by_default(), "producer risk");
    assert_eq!(cores(&plan), [Some(4), Some(5)], "{plan}");
    let remarks: Vec<String> = plan.remarks().iter().map(Remark::to_string).collect();
    assert!(remarks[0].contains("`taskset -c 0-15 PROGRAM`"), "{remarks:?}");
}

#[test]
fn a_quota_limits_how_many_are_pinned() {
    for tree in [container_unified(), container_legacy()] {
        let plan = plan(&tree, "producer risk ledger");
        assert_eq!(cores(&plan), [Some(2), None, None], "{plan}");
        let why = Unpinned::Quota { granted: "1.5".to_owned(), busy: 1 };
        assert_eq!(plan.seats()[2].choice(), &Choice::Unpinned(why));
        assert!(plan.to_string().contains("the time of 1.5 cores"), "{plan}");
    }
}

#[test]
fn a_quota_that_is_used_up_is_told() {
    let tree = container_unified();
    tree.file("sys/fs/cgroup/pod/cpu.max", "200000 100000");
    let plan = plan(&tree, "producer risk");
    assert_eq!(cores(&plan), [Some(2), Some(3)]);
    assert_eq!(plan.remarks(), [Remark::AllTimeBusy { granted: "2".to_owned() }]);
}

#[test]
fn a_core_stays_free_for_those_that_have_none() {
    let tree = container_unified();
    tree.file("sys/fs/cgroup/pod/cpu.max", "max 100000");
    let full = plan(&tree, "a b c d");
    assert_eq!(cores(&full), [Some(2), Some(3), Some(4), Some(5)]);
    assert_eq!(full.remarks(), [Remark::AllCoresBusy]);
    let over = plan(&tree, "a b c d e");
    assert_eq!(cores(&over), [Some(2), Some(3), Some(4), None, None]);
    let why = Unpinned::Cores { threads: 5, cores: 4 };
    assert_eq!(over.seats()[4].choice(), &Choice::Unpinned(why));
}

#[test]
fn a_team_is_pinned_as_a_whole_or_not_at_all() {
    let tree = container_unified();
    tree.file("sys/fs/cgroup/pod/cpu.max", "max 100000");
    let fits = plan(&tree, "producer price price ledger");
    assert_eq!(fits.cores("price"), [3, 4]);
    assert!(fits.to_string().contains("price 2/2"), "{fits}");
    // Three can be pinned: a team of three is too much behind a producer, the last two are not.
    let over = plan(&tree, "producer price price price risk ledger");
    assert_eq!(over.cores("price"), [0; 0]);
    assert_eq!(cores(&over), [Some(2), None, None, None, Some(3), Some(4)]);
}

#[test]
fn nobody_is_pinned_where_nothing_is_known() {
    let plan = plan(&Tree::new(), "producer risk");
    assert_eq!(cores(&plan), [None, None]);
    assert_eq!(plan.seats()[0].choice(), &Choice::Unpinned(Unpinned::Unknown));
}

#[test]
fn no_threads_are_an_empty_plan() {
    let plan = Placement::on(&Machine::read(laptop().root()), [""; 0]);
    assert!(plan.seats().is_empty() && plan.to_string().is_empty());
}
