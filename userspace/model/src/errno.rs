//! Names of error numbers, those included that only the kernel itself uses.

use std::borrow::Cow;

/// Key of the errors whose number the kernel side had no counter for.
pub const OTHER: u32 = u32::MAX;

/// The first number of [`INTERNAL`].
const FIRST_INTERNAL: u32 = 512;

/// 0 to 133, the same on x86 and ARM; empty where a number has no error.
const ORDINARY: &str = "\
. EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST \
EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE \
EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP . ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH \
ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT . EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE \
ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD \
ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT \
EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH \
ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN \
EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE \
ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON";

/// 512 to 531: codes by which the kernel restarts a call or talks to itself; user space never sees them.
const INTERNAL: &str = "\
ERESTARTSYS ERESTARTNOINTR ERESTARTNOHAND ENOIOCTLCMD ERESTART_RESTARTBLOCK EPROBE_DEFER EOPENSTALE ENOPARAM . \
EBADHANDLE ENOTSYNC EBADCOOKIE ENOTSUPP ETOOSMALL ESERVERFAULT EBADTYPE EJUKEBOX EIOCBQUEUED ERECALLCONFLICT ENOGRACE";

/// The symbol of an error number; `errno_N` where it has none.
#[must_use]
pub fn name(errno: u32) -> Cow<'static, str> {
    if errno == OTHER {
        return Cow::Borrowed("errno_other");
    }
    let nth = |names: &'static str, index: u32| {
        names.split_ascii_whitespace().nth(index as usize).filter(|name| *name != ".")
    };
    let known = match errno.checked_sub(FIRST_INTERNAL) {
        Some(index) => nth(INTERNAL, index),
        None => nth(ORDINARY, errno),
    };
    known.map_or_else(|| Cow::Owned(format!("errno_{errno}")), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        let pairs = [
            (Errno::PERM, "EPERM"),
            (Errno::AGAIN, "EAGAIN"),
            (Errno::DEADLK, "EDEADLK"),
            (Errno::NOSYS, "ENOSYS"),
            (Errno::LOOP, "ELOOP"),
            (Errno::NOMSG, "ENOMSG"),
            (Errno::BFONT, "EBFONT"),
            (Errno::OVERFLOW, "EOVERFLOW"),
            (Errno::TIMEDOUT, "ETIMEDOUT"),
            (Errno::NOTRECOVERABLE, "ENOTRECOVERABLE"),
            (Errno::HWPOISON, "EHWPOISON"),
        ];
        for (errno, symbol) in pairs {
            assert_eq!(name(errno.raw_os_error().unsigned_abs()), symbol);
        }
        assert_eq!(ORDINARY.split_ascii_whitespace().count(), 134);
    }

    #[test]
    fn codes_of_the_kernel_itself_have_names_too() {
        let pairs = [(512, "ERESTARTSYS"), (514, "ERESTARTNOHAND"), (516, "ERESTART_RESTARTBLOCK")];
        for (errno, symbol) in
            pairs.into_iter().chain([(521, "EBADHANDLE"), (529, "EIOCBQUEUED"), (531, "ENOGRACE")])
        {
            assert_eq!(name(errno), symbol);
        }
    }

    #[test]
    fn a_number_without_a_name_stays_a_number() {
        assert_eq!(
            [0, 41, 58, 134, 511, 520, 532, 4095].map(name),
            [
                "errno_0",
                "errno_41",
                "errno_58",
                "errno_134",
                "errno_511",
                "errno_520",
                "errno_532",
                "errno_4095"
            ]
        );
        assert_eq!(name(OTHER), "errno_other");
    }
}
