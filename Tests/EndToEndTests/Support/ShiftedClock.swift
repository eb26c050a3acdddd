import Foundation

/// A wall clock that is wrong by a chosen time, for one process: a small library that is loaded before the C library.
enum ShiftedClock {
    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <time.h>
        int clock_gettime(clockid_t clock, struct timespec *time) {
            static int (*real)(clockid_t, struct timespec *);
            static long shift;
            if (!real) {
                const char *text = getenv("CLOCK_SHIFT_SECONDS");
                shift = text ? atol(text) : 0;
                real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
            }
            int result = real(clock, time);
            if (!result && clock == CLOCK_REALTIME) time->tv_sec += shift;
            return result;
        }
        """

    /// Compiles the library with the compiler that comes with Swift.
    static func library(in directory: URL) async throws -> URL {
        let file = directory.appendingPathComponent("clock.c")
        let library = directory.appendingPathComponent("libclock.so")
        try Data(source.utf8).write(to: file)
        let arguments = ["clang", "-shared", "-fPIC", "-O1", "-o", library.path, file.path, "-ldl"]
        let outcome = try await Command(URL(fileURLWithPath: "/usr/bin/env"), arguments).outcome()
        guard outcome.status == 0 else { throw CommandFailed(command: "clang", outcome: outcome) }
        return library
    }

    static func environment(_ library: URL, seconds: Int) -> [String: String] {
        ["LD_PRELOAD": library.path, "CLOCK_SHIFT_SECONDS": "\(seconds)"]
    }
}
