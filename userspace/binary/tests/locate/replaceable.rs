//! Instructions that a jump can take the place of: the same six in every release, each alone five bytes long or more.

use binary::locate::{
    glibc::MUTEX_LOCK,
    register::Reg::{self, Rbx, Rdx},
    replaceable::{Moved, Passing, Replacements, find},
};
use pulse_trace_testing::need;

use crate::specimens::{GLIBCS, by_code, read};

fn replacements(release: &str, file: &str) -> Result<(Option<String>, Replacements), String> {
    let bytes = read(release, file)?;
    let plan = by_code(&bytes);
    Ok((plan.build_id.clone(), find(&bytes, &plan)))
}

#[test]
fn every_release_has_all_places() {
    for (release, file) in GLIBCS {
        let (_, found) = need!(replacements(release, file));
        let own: Vec<_> = found.places.iter().filter(|place| place.function == MUTEX_LOCK).collect();
        assert_eq!(own.len(), 6, "{release}: {found:#?}");
        assert_eq!(found.thread_id, Some(0x2d0), "{release}");
        for place in &found.places {
            assert!(place.bytes.len() >= 5, "{release}: {place:?}");
            let holder = found
                .code
                .iter()
                .find(|code| (code.address..code.address + code.bytes.len() as u64).contains(&place.address));
            let code = holder.unwrap();
            let at = (place.address - code.address) as usize;
            assert_eq!(code.bytes[at..at + place.bytes.len()], place.bytes, "{release}: {place:?}");
            assert!(place.lock.is_some_and(|lock| lock != Reg::Rsp), "{release}: {place:?}");
        }
    }
}

#[test]
fn known_builds_have_known_places() {
    use Passing::{AdaptiveAttempt, AdaptiveWait, GaveUp, NormalAttempt, NormalWait, SpinEnd};
    let known: [(&str, [u64; 6], Reg); 4] = [
        ("255e355c207aba91a59ae1f808e3b4da443abf0c", [0xa789, 0xa838, 0xa886, 0xa991, 0xa9b7, 0xa9ca], Rbx),
        (
            "93ac61ec5a8eb1396f9fbd350e3169a558528a40",
            [0x8c3a0, 0x8c478, 0x8c4f0, 0x8c5b6, 0x8c5e3, 0x8c5f6],
            Rbx,
        ),
        (
            "5e5b51f4c39af9ac589408c1dc432ba390a273cc",
            [0x95bd0, 0x95ca8, 0x95d2f, 0x95e19, 0x95e46, 0x95e59],
            Rbx,
        ),
        (
            "a226e0f150be89099d375c6b865b1dba794648ae",
            [0x9824f, 0x982d8, 0x98369, 0x98446, 0x98479, 0x98493],
            Rdx,
        ),
    ];
    let mut met = 0;
    for (release, file) in GLIBCS {
        let (id, found) = need!(replacements(release, file));
        let Some((_, addresses, count)) = known.iter().find(|(known, ..)| id.as_deref() == Some(known))
        else {
            continue;
        };
        let own: Vec<_> = found.places.iter().filter(|place| place.function == MUTEX_LOCK).collect();
        let mut seen: Vec<(Passing, u64)> = own.iter().map(|place| (place.passing, place.address)).collect();
        let roles = [NormalAttempt, NormalWait, AdaptiveAttempt, SpinEnd(*count), GaveUp, AdaptiveWait];
        let mut wanted: Vec<(Passing, u64)> = roles.into_iter().zip(*addresses).collect();
        seen.sort_by_key(|it| it.1);
        wanted.sort_by_key(|it| it.1);
        assert_eq!(seen, wanted, "{release}");
        let calls = own.iter().filter(|place| matches!(place.moved, Moved::Call(_))).count();
        assert_eq!(calls, usize::from(release == "sid"), "{release}");
        met += 1;
    }
    need!(met > 0, "the mirror has none of the four known builds any more");
}
