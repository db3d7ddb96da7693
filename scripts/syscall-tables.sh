#!/bin/sh
# Writes the system call tables in userspace/model/src/syscalls/ anew from the kernel's own headers.
#
#   apt-get download linux-libc-dev && dpkg -x linux-libc-dev_*.deb headers
#   scripts/syscall-tables.sh headers/usr/lib/linux/uapi
#
# The argument holds one directory of headers per architecture. Tables only ever grow: a kernel never gives a number
# away a second time, so those of the newest kernel serve every older one.
set -eu

uapi=${1:?usage: $0 DIRECTORY_OF_UAPI_HEADERS}
out=$(dirname "$0")/../userspace/model/src/syscalls

table() { # name of the table, header, what it is
    awk -v title="$3" '
        $1 == "#define" && $2 ~ /^__NR_/ {
            number = $NF
            gsub(/[()]/, "", number)
            if (number ~ /^[0-9]+$/) name[number + 0] = substr($2, 6)
        }
        function flush_line() { if (line != "") print line " \\"; line = "" }
        function close_run() {
            if (line != "") print line "\","
            line = ""
            if (started) print "    ),"
        }
        END {
            print "//! " title "."
            print "//! Written by `scripts/syscall-tables.sh`; do not edit."
            print ""
            print "/// Runs of names without a gap: the number of the first, and the names."
            print "pub(super) static RUNS: &[(u32, &str)] = &["
            previous = -2
            for (number = 0; number < 510; number++) {
                if (!(number in name)) continue
                if (number != previous + 1) {
                    close_run()
                    print "    ("
                    print "        " number ","
                    started = 1
                    line = "        \"" name[number]
                } else if (length(line) + length(name[number]) > 105) {
                    flush_line()
                    line = "         " name[number]
                } else {
                    line = line " " name[number]
                }
                previous = number
            }
            close_run()
            print "];"
        }' "$uapi/$2" > "$out/$1.rs"
    rustfmt --edition 2024 "$out/$1.rs"
}

table x86_64 x86/asm/unistd_64.h "System calls of x86-64"
table i386 x86/asm/unistd_32.h "System calls of i386, which x86-64 takes from 32-bit programs"
table aarch64 arm64/asm/unistd_64.h "System calls of aarch64: the generic table"
table arm arm/asm/unistd-eabi.h "System calls of arm (EABI), which aarch64 takes from 32-bit programs"
