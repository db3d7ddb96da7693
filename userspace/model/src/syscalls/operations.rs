//! Names of operations.

use super::super::frame::Call;

type Runs = &'static [(u32, &'static str)];

const FUTEX: Runs = &[(
    0,
    "WAIT WAKE FD REQUEUE CMP_REQUEUE WAKE_OP LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_BITSET WAKE_BITSET WAIT_REQUEUE_PI \
     CMP_REQUEUE_PI LOCK_PI2",
)];
const FCNTL: Runs = &[
    (
        0,
        "DUPFD GETFD SETFD GETFL SETFL GETLK SETLK SETLKW SETOWN GETOWN SETSIG GETSIG GETLK64 SETLK64 SETLKW64 \
         SETOWN_EX GETOWN_EX GETOWNER_UIDS",
    ),
    (36, "OFD_GETLK OFD_SETLK OFD_SETLKW"),
    (
        1024,
        "SETLEASE GETLEASE NOTIFY DUPFD_QUERY CREATED_QUERY CANCELLK DUPFD_CLOEXEC SETPIPE_SZ GETPIPE_SZ ADD_SEALS \
         GET_SEALS GET_RW_HINT SET_RW_HINT GET_FILE_RW_HINT SET_FILE_RW_HINT",
    ),
];
const EPOLL_CTL: Runs = &[(1, "ADD DEL MOD")];

/// The name of an operation of a call, as the kernel's headers have it without their prefix.
pub fn name(call: &str, operation: u32) -> String {
    let runs = match call.rsplit(':').next() {
        Some("futex" | "futex_time64") => FUTEX,
        Some("fcntl") => FCNTL,
        Some("epoll_ctl") => EPOLL_CTL,
        _ => &[],
    };
    match super::find(runs, operation) {
        Some(name) => name.to_owned(),
        None if operation == Call::OTHER => "other".to_owned(),
        None => operation.to_string(),
    }
}
