//! The test harness tests, and fails when it should.

use std::panic::{AssertUnwindSafe, catch_unwind};

use slipring_store::sourcing::{Given, GivenEvents};

use crate::{
    bank::{Account, Deposit, Open, Refusal, Withdraw},
    common::{Balances, deposited, opened, withdrawn},
};

fn rich() -> Given<Account> {
    Given::events([opened("Ada"), deposited(500)])
}

/// What a failing test says.
fn says<T>(test: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).map(drop).expect_err("the test has passed");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).expect("it says something")
    })
}

#[test]
fn what_is_so_passes() {
    rich().when(&Withdraw(200)).then_events([withdrawn(200)]).then_state(|account| {
        assert_eq!(account.cents, 300);
    });
    rich().when(&Withdraw(501)).then_error(&Refusal::Overdrawn(500)).then_state(|account| {
        assert_eq!(account.cents, 500);
    });
    rich().when(&Deposit(0)).then_nothing();
    rich()
        .and([withdrawn(500)])
        .when(&Withdraw(1))
        .then_refused(|why| *why == Refusal::Overdrawn(0));
    Given::<Account>::nothing().when(&Open("Ada")).then_events([opened("Ada")]);
}

#[test]
fn other_events_fail_with_both_sides() {
    let text = says(|| rich().when(&Withdraw(200)).then_events([withdrawn(200), deposited(1)]));
    let expected = "it has decided otherwise
(- expected, + found)
  0: Withdrawn(Withdrawn { cents: 200 })
- 1: Deposited(Deposited { cents: 1 })
";
    assert_eq!(text, expected);
    let text = says(|| rich().when(&Withdraw(200)).then_events([withdrawn(20)]));
    let expected = "it has decided otherwise
(- expected, + found)
- 0: Withdrawn(Withdrawn { cents: 20 })
+ 0: Withdrawn(Withdrawn { cents: 200 })
";
    assert_eq!(text, expected);
    let text = says(|| rich().when(&Withdraw(200)).then_nothing());
    assert!(text.contains("+ 0: Withdrawn(Withdrawn { cents: 200 })"), "{text}");
}

#[test]
fn a_refusal_that_was_not_expected_fails_and_so_does_another_one() {
    let text = says(|| rich().when(&Withdraw(900)).then_events([withdrawn(900)]));
    assert!(text.starts_with("it has refused: there are 500 cents\n"), "{text}");
    assert!(text.contains("- 0: Withdrawn(Withdrawn { cents: 900 })"), "{text}");
    let text = says(|| rich().when(&Withdraw(900)).then_error(&Refusal::NotOpen));
    assert_eq!(text, "it has refused otherwise\n- NotOpen\n+ Overdrawn(500)\n");
    let text = says(|| rich().when(&Withdraw(9)).then_error(&Refusal::NotOpen));
    assert!(text.starts_with("it has not refused\n- NotOpen\n"), "{text}");
    let text = says(|| rich().when(&Withdraw(9)).then_refused(|_| true));
    assert!(text.starts_with("it has not refused\n"), "{text}");
    let text = says(|| rich().when(&Withdraw(900)).then_refused(|why| *why == Refusal::NotOpen));
    assert!(text.contains("Overdrawn(500)"), "{text}");
    let text =
        says(|| rich().when(&Withdraw(9)).then_state(|account| assert_eq!(account.cents, 1)));
    assert!(text.contains("491"), "{text}");
}

#[test]
fn values_of_a_projection() {
    let given = || {
        GivenEvents::of(Balances::version(1))
            .event("account-7", opened("Ada"))
            .event("account-7", deposited(5))
            .event("account-8", opened("Bob"))
    };
    given()
        .then_value("account-7", &(2_u64, 5_i64))
        .then_value("account-8", &(1_u64, 0_i64))
        .then_value("all", &3_u64)
        .then_no_value("account-9");
    let text = says(|| given().then_value("account-7", &(2_u64, 6_i64)));
    assert_eq!(text, "`account-7` is another\n- (2, 6)\n+ (2, 5)\n");
    let text = says(|| given().then_value("account-9", &(2_u64, 6_i64)));
    assert!(text.contains("there are `account-7`, `account-8`, `all`"), "{text}");
    let text = says(|| given().then_no_value("account-7"));
    assert!(text.starts_with("`account-7` is there"), "{text}");
    let text = says(|| given().then_value("account-7", &String::new()));
    assert!(text.starts_with("`account-7` is of another type"), "{text}");
}

#[test]
fn a_projection_that_fails() {
    let given = || {
        let balances = Balances::version(1);
        balances.fails_at.store(13, std::sync::atomic::Ordering::SeqCst);
        GivenEvents::of(balances).event("account-7", opened("Ada"))
    };
    // What it has put before it failed is dropped.
    given()
        .fails_at("account-7", deposited(13), "I do not like that amount")
        .then_value("account-7", &(1_u64, 0_i64));
    let text = says(|| given().event("account-7", deposited(13)));
    assert_eq!(text, "event 1 cannot be applied: I do not like that amount");
    let text = says(|| given().fails_at("account-7", deposited(12), "I do not like that amount"));
    assert!(text.starts_with("event 1 was applied"), "{text}");
    let text = says(|| given().fails_at("account-7", deposited(13), "no"));
    assert!(text.contains("- no\n+ I do not like"), "{text}");
}
