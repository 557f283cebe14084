//! What people do in the model. Numbers choose among those who are there, so that any number is somebody.

use proptest::prelude::*;

/// One act.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    SignUp {
        person: usize,
        run: usize,
        swap: bool,
    },
    /// With the place that somebody keeps for a friend.
    ComeAsFriend {
        person: usize,
        run: usize,
    },
    Withdraw {
        person: usize,
        run: usize,
    },
    Accept {
        person: usize,
        run: usize,
        swap: bool,
    },
    DeclineOffer {
        person: usize,
        run: usize,
    },
    Reconfirm {
        person: usize,
        run: usize,
    },
    Approve {
        person: usize,
        run: usize,
    },
    Decline {
        person: usize,
        run: usize,
    },
    Remove {
        person: usize,
        run: usize,
    },
    Capacity {
        run: usize,
        places: i32,
    },
    Move {
        run: usize,
        minutes: i64,
    },
    Close {
        run: usize,
    },
    Cancel {
        run: usize,
    },
    StepDown {
        leader: usize,
        run: usize,
    },
    TakeOver {
        leader: usize,
        run: usize,
    },
    Invite {
        leader: usize,
        run: usize,
    },
    RunAsTwo {
        leader: usize,
        run: usize,
    },
    Bar {
        leader: usize,
        person: usize,
        hours: i64,
    },
    Hold {
        person: usize,
    },
    HoldLeader {
        leader: usize,
    },
    Lift {
        person: usize,
    },
    Ban {
        person: usize,
    },
    Block {
        one: usize,
        other: usize,
    },
    Unblock {
        one: usize,
        other: usize,
    },
    BringFriend {
        person: usize,
        run: usize,
    },
    CheckIn {
        person: usize,
        run: usize,
    },
    NoShow {
        person: usize,
        run: usize,
    },
    WalkIn {
        person: usize,
        run: usize,
    },
    Guest {
        run: usize,
    },
    BecomeRegular {
        person: usize,
        series: usize,
    },
    StopComing {
        person: usize,
        series: usize,
    },
    /// Another time of day and capacity, for all dates to come or from one on.
    EditSeries {
        series: usize,
        minutes: i64,
        places: i32,
        from: Option<usize>,
    },
    EndSeries {
        series: usize,
        from: Option<usize>,
    },
    Pass {
        minutes: i64,
    },
    /// Lets time pass until so many minutes after a run's start, if that is still to come.
    GoToDesk {
        run: usize,
        minutes: i64,
    },
}

impl Act {
    /// Any act, the everyday ones more often.
    pub fn any() -> impl Strategy<Value = Self> {
        // Two of the runs are where most of it happens, so that they are full and people wait.
        let r = prop_oneof![2 => 0..2usize, 1 => 2..6usize].boxed();
        let (p, l, s) = (0..8usize, 0..3usize, 0..2usize);
        let pr = (p.clone(), r.clone());
        let lr = (l.clone(), r.clone());
        let ps = (p.clone(), s.clone());
        let from = proptest::option::of(0..3usize);
        prop_oneof![
            8 => (p.clone(), r.clone(), any::<bool>()).prop_map(|(person, run, swap)| Self::SignUp { person, run, swap }),
            1 => pr.clone().prop_map(|(person, run)| Self::ComeAsFriend { person, run }),
            4 => pr.clone().prop_map(|(person, run)| Self::Withdraw { person, run }),
            6 => (p.clone(), r.clone(), any::<bool>()).prop_map(|(person, run, swap)| Self::Accept { person, run, swap }),
            1 => pr.clone().prop_map(|(person, run)| Self::DeclineOffer { person, run }),
            1 => pr.clone().prop_map(|(person, run)| Self::Reconfirm { person, run }),
            4 => pr.clone().prop_map(|(person, run)| Self::Approve { person, run }),
            1 => pr.clone().prop_map(|(person, run)| Self::Decline { person, run }),
            1 => pr.clone().prop_map(|(person, run)| Self::Remove { person, run }),
            3 => (r.clone(), 1..5i32).prop_map(|(run, places)| Self::Capacity { run, places }),
            1 => (r.clone(), -200..200i64).prop_map(|(run, minutes)| Self::Move { run, minutes }),
            1 => r.clone().prop_map(|run| Self::Close { run }),
            1 => r.clone().prop_map(|run| Self::Cancel { run }),
            1 => lr.clone().prop_map(|(leader, run)| Self::StepDown { leader, run }),
            2 => lr.clone().prop_map(|(leader, run)| Self::TakeOver { leader, run }),
            1 => lr.clone().prop_map(|(leader, run)| Self::Invite { leader, run }),
            1 => lr.prop_map(|(leader, run)| Self::RunAsTwo { leader, run }),
            1 => (l.clone(), p.clone(), 1..200i64).prop_map(|(leader, person, hours)| Self::Bar { leader, person, hours }),
            1 => p.clone().prop_map(|person| Self::Hold { person }),
            1 => l.prop_map(|leader| Self::HoldLeader { leader }),
            1 => p.clone().prop_map(|person| Self::Lift { person }),
            1 => p.clone().prop_map(|person| Self::Ban { person }),
            4 => (0..11usize, 0..11usize).prop_map(|(one, other)| Self::Block { one, other }),
            1 => (0..11usize, 0..11usize).prop_map(|(one, other)| Self::Unblock { one, other }),
            1 => pr.clone().prop_map(|(person, run)| Self::BringFriend { person, run }),
            2 => pr.clone().prop_map(|(person, run)| Self::CheckIn { person, run }),
            1 => pr.clone().prop_map(|(person, run)| Self::NoShow { person, run }),
            4 => pr.prop_map(|(person, run)| Self::WalkIn { person, run }),
            2 => r.clone().prop_map(|run| Self::Guest { run }),
            3 => ps.clone().prop_map(|(person, series)| Self::BecomeRegular { person, series }),
            1 => ps.prop_map(|(person, series)| Self::StopComing { person, series }),
            2 => (s.clone(), -100..100i64, 2..5i32, from.clone())
                .prop_map(|(series, minutes, places, from)| Self::EditSeries { series, minutes, places, from }),
            1 => (s, from).prop_map(|(series, from)| Self::EndSeries { series, from }),
            5 => (1..2000i64).prop_map(|minutes| Self::Pass { minutes }),
            4 => (r, -120..180i64).prop_map(|(run, minutes)| Self::GoToDesk { run, minutes }),
        ]
    }
}
