//! Look-ups in the user database. It may be files, a directory server or another service (NSS), so the C library is
//! called. A static build knows files only.
#![expect(unsafe_code, reason = "getpwuid_r(3) and getgrouplist(3) have no safe form")]

use std::{ffi::CString, io, mem::MaybeUninit, ptr};

use rustix::fs::{Gid, Uid};

/// Longest answer about one user.
const LONGEST: usize = 1 << 20;
/// Most groups of one user, as the kernel has it.
const MOST: usize = 1 << 16;

/// The groups of a user whose first group is known; of a user that the database does not know only that one.
///
/// # Errors
/// When the database cannot be read.
pub fn groups(uid: Uid, first: Gid) -> io::Result<Vec<Gid>> {
    let Some(name) = name(uid)? else { return Ok(vec![first]) };
    let mut room = 64;
    loop {
        let mut groups: Vec<libc::gid_t> = vec![0; room];
        let mut count = room as libc::c_int;
        // SAFETY: the name ends in a zero, the list has room for as many as the count says, and both outlive the call.
        let answer =
            unsafe { libc::getgrouplist(name.as_ptr(), first.as_raw(), groups.as_mut_ptr(), &raw mut count) };
        if answer >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(groups.into_iter().map(Gid::from_raw).collect());
        }
        if room >= MOST {
            return Err(io::Error::other("the user database names too many groups"));
        }
        room *= 4;
    }
}

/// The name of a user; `None` where the database knows none.
fn name(uid: Uid) -> io::Result<Option<CString>> {
    let mut len = 1 << 12;
    loop {
        let mut text: Vec<libc::c_char> = vec![0; len];
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: all four are written within their lengths and outlive the call.
        let answer = unsafe {
            libc::getpwuid_r(uid.as_raw(), entry.as_mut_ptr(), text.as_mut_ptr(), len, &raw mut found)
        };
        match answer {
            libc::ERANGE if len < LONGEST => len *= 4,
            // Answers of databases that do not know the id.
            0 | libc::ENOENT | libc::ESRCH if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: the entry was found, so it is filled in, and its name is a string in `text`, which is still
                // alive.
                let name = unsafe { std::ffi::CStr::from_ptr((*found).pw_name) };
                return Ok(Some(name.to_owned()));
            }
            number => return Err(io::Error::from_raw_os_error(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superuser_has_a_name_and_a_stranger_has_one_group_only() {
        assert_eq!(name(Uid::ROOT).unwrap().unwrap().to_str().unwrap(), "root");
        assert!(groups(Uid::ROOT, Gid::ROOT).unwrap().contains(&Gid::ROOT));
        let (stranger, group) = (Uid::from_raw(3_999_999_991), Gid::from_raw(77));
        assert_eq!(groups(stranger, group).unwrap(), [group]);
    }
}
