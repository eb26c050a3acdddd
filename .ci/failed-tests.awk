# Reads the output of `swift test` and tells again, at the end, what failed: a log's tail is often all that is kept.
# Issues stand with their explanation, by test; then come the tests that never ended (a crash) and the seeds of the run.

BEGIN { issues_shown = 3; lines_shown = 10; lines_maximum = 70 }

# "Test “a name”" of a line of the kind SYMBOL Test "a name" VERB …
function subject(line, verb) { sub(/^[^ ]+ /, "", line); return substr(line, 1, index(line, verb) - 1) }

/TOCSIN_SEED=/ { if (!seen[$0]++) seeds = seeds "  " $0 "\n" }
/^◇ Test .* started\.$/ && !/^◇ Test (run|case)/ { running[subject($0, " started.")] = 1 }
/^(✔|✘|➜) Test .* (passed|failed|skipped|cancelled)/ { ended($0) }
/^(✔|✘) Test run with / { finished = 1 }

function ended(line) {
    sub(/ (passed|failed|skipped|cancelled)( after.*|\.|: .*)?$/, "", line)
    sub(/^[^ ]+ /, "", line)
    sub(/ with [0-9]+ test cases?$/, "", line)
    delete running[line]
}

/^✘ .* recorded an issue/ {
    test = subject($0, " recorded an issue")
    if (!(test in issues)) order[++failed] = test
    issues[test]++
    lines = 0
    telling = issues[test] <= issues_shown
    if (telling) {
        text = $0
        sub(/.* recorded an issue( with [0-9]+ arguments?)? */, "", text)
        told[test] = told[test] "    " text "\n"
    }
    next
}
# What follows an issue explains it, until something else is told.
/^(◇|✔|✘|➜|→|━)/ || /TOCSIN_SEED=/ { telling = 0 }
telling && ++lines <= lines_shown { told[test] = told[test] "      " $0 "\n" }

END {
    print "\nFailed tests, from the output above:"
    for (number = 1; number <= failed; number++) {
        test = order[number]
        print "✘ " test
        # So that the names of all of them stay within the tail.
        total += gsub(/\n/, "&", told[test])
        if (total > lines_maximum) continue
        printf "%s", told[test]
        if (issues[test] > issues_shown) print "    … and " issues[test] - issues_shown " more issues"
    }
    if (!finished) for (name in running) print "✘ " name " had not ended when the run broke off"
    if (failed == 0 && finished) print "  none: what failed is not a test"
    if (seeds != "") printf "Seeds of this run:\n%s", seeds
}
