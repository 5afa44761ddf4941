#!/bin/sh
# Ends what a stack started once the stack itself is gone, however it went.
#
# The stack holds the other end of our standard input and says on it, a line each:
#   keep PID SIGNAL     this process is to be ended with SIGNAL when input ends
#   release PID         this one has ended, or is nobody's business any more
# Input ends when the stack closes it or dies. We are in a session of our own, so that no Ctrl-C reaches us.
trap '' HUP INT TERM

kept=''
while read -r verb pid signal; do
  case $verb in
    keep) kept="$kept $pid:$signal" ;;
    release)
      left=''
      for entry in $kept; do
        [ "${entry%%:*}" = "$pid" ] || left="$left $entry"
      done
      kept=$left
      ;;
  esac
done

for entry in $kept; do
  kill -s "${entry#*:}" "${entry%%:*}" 2>/dev/null
done

# They get five seconds to end as asked.
rounds=0
while [ "$rounds" -lt 50 ]; do
  alive=''
  for entry in $kept; do
    kill -0 "${entry%%:*}" 2>/dev/null && alive=yes
  done
  [ -z "$alive" ] && exit 0
  rounds=$((rounds + 1))
  sleep 0.1
done
for entry in $kept; do
  kill -s KILL "${entry%%:*}" 2>/dev/null
done
