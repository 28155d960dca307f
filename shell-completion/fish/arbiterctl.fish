# SPDX-License-Identifier: LGPL-2.1-or-later

# The options that say which arbiter is meant, as they stand on the command line.
function __arbiterctl_ask
    set -l connection
    set -l words (commandline -opc)
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --system --user '--host=*' '--machine=*' '--instance=*' '--runtime-dir=*'
                set -a connection $words[$i]
            case --host --machine --instance --runtime-dir -H -M
                set -a connection $words[$i] $words[(math $i + 1)]
        end
    end
    arbiterctl $connection --no-pager --json=off --timeout=2 $argv 2>/dev/null
end

# The first words of the lines of a list; nothing if no arbiter runs.
function __arbiterctl_list
    __arbiterctl_ask --no-legend $argv | string replace -r '\s.*' ''
end

function __arbiterctl_names
    __arbiterctl_list list-monitors | string replace -r '$' '\tmonitor'
    __arbiterctl_list list-actors | string replace -r '$' '\tactor'
end

function __arbiterctl_definitions
    __arbiterctl_ask show --property=Definitions --value | string split -n ' '
end

function __arbiterctl_properties
    __arbiterctl_ask show | string replace -r '=.*' ''
    printf '%s\n' AID Name Monitor State PID StartedUsec Restarts LastReason LastStatus Status MailboxQueued RequestsBegun RequestsDone Draining Ready ProbeStatus Probes MemoryBytes CPUUsec
end

function __arbiterctl_configured
    set -l home $XDG_CONFIG_HOME $HOME/.config
    for file in {/etc,/run,/usr/local/lib,/usr/lib,$home[1]}/arbiter/*.{monitor,actor}
        string replace -r '\.[^.]*$' '' -- (string replace -r '.*/' '' -- $file)
    end
    echo arbiterd.conf
end

# The words that are no options: the verb, then its arguments.
function __arbiterctl_positional
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case --host --machine --instance --runtime-dir --json --timeout --lines --output --priority --since --until \
                    --delay --iterations --property --signal --count --interval --config-dir --key --routing --to \
                    -H -M -n -o -d -p -s -c -i
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

function __arbiterctl_no_verb
    test (count (__arbiterctl_positional)) = 0
end

# VERB... [-- N]: it is one of these verbs, and N of its arguments are there.
function __arbiterctl_at
    set -l words (__arbiterctl_positional)
    test (count $words) -gt 0; or return 1
    set -l wanted -1
    set -l verbs
    set -l i 1
    while test $i -le (count $argv)
        if test $argv[$i] = @
            set wanted $argv[(math $i + 1)]
            break
        end
        set -a verbs $argv[$i]
        set i (math $i + 1)
    end
    contains -- $words[1] $verbs; or return 1
    test $wanted = -1; or test (count $words) = (math $wanted + 1)
end

function __arbiterctl_commands
    set -l words (__arbiterctl_positional)
    __arbiterctl_list introspect $words[2]
end

complete -c arbiterctl -f

complete -c arbiterctl -n __arbiterctl_no_verb -a status -d 'The arbiter and all it runs as a tree'
complete -c arbiterctl -n __arbiterctl_no_verb -a top -d 'CPU, memory, mailboxes, restarts, as they change'
complete -c arbiterctl -n __arbiterctl_no_verb -a list-actors -d 'List actors'
complete -c arbiterctl -n __arbiterctl_no_verb -a list-monitors -d 'List monitors'
complete -c arbiterctl -n __arbiterctl_no_verb -a list-children -d 'List the children of a monitor'
complete -c arbiterctl -n __arbiterctl_no_verb -a add-child -d 'Add an instance of a definition to the children of a monitor'
complete -c arbiterctl -n __arbiterctl_no_verb -a remove-child -d 'Stop children of a monitor, and forget them'
complete -c arbiterctl -n __arbiterctl_no_verb -a show -d 'Properties as KEY=VALUE'
complete -c arbiterctl -n __arbiterctl_no_verb -a why -d 'What actors and monitors wait for'
complete -c arbiterctl -n __arbiterctl_no_verb -a deaths -d 'How and when lives ended'
complete -c arbiterctl -n __arbiterctl_no_verb -a log -d 'The journal of the arbiter, of monitors, of actors'
complete -c arbiterctl -n __arbiterctl_no_verb -a events -d 'Follow what happens'
complete -c arbiterctl -n __arbiterctl_no_verb -a metrics -d 'Figures as OpenMetrics text'
complete -c arbiterctl -n __arbiterctl_no_verb -a ping -d 'Measure round trips to actors'
complete -c arbiterctl -n __arbiterctl_no_verb -a info -d 'What actors say of themselves'
complete -c arbiterctl -n __arbiterctl_no_verb -a introspect -d 'Commands of actors'
complete -c arbiterctl -n __arbiterctl_no_verb -a send -d 'Send a command and print the reply'
complete -c arbiterctl -n __arbiterctl_no_verb -a spawn -d 'Start an actor'
complete -c arbiterctl -n __arbiterctl_no_verb -a stop -d 'Stop actors or monitors'
complete -c arbiterctl -n __arbiterctl_no_verb -a kill -d 'Send a signal to actors'
complete -c arbiterctl -n __arbiterctl_no_verb -a restart -d 'Replace actors'
complete -c arbiterctl -n __arbiterctl_no_verb -a scale -d 'Change the number of workers'
complete -c arbiterctl -n __arbiterctl_no_verb -a wait -d 'Wait until something is in a state'
complete -c arbiterctl -n __arbiterctl_no_verb -a cat -d 'Show configuration files'
complete -c arbiterctl -n __arbiterctl_no_verb -a verify -d 'Check configuration files'
complete -c arbiterctl -n __arbiterctl_no_verb -a daemon-reload -d 'Have the configuration read again'
complete -c arbiterctl -n __arbiterctl_no_verb -a reload -d 'Read the files of monitors again and replace their workers'
complete -c arbiterctl -n __arbiterctl_no_verb -a daemon-reexec -d 'Have the arbiter replaced by its program on disk'

complete -c arbiterctl -n '__arbiterctl_at status top list-actors show why deaths log events ping info introspect stop kill restart' -a '(__arbiterctl_names)'
complete -c arbiterctl -n '__arbiterctl_at send wait @ 0' -a '(__arbiterctl_names)'
complete -c arbiterctl -n '__arbiterctl_at list-monitors reload' -a '(__arbiterctl_list list-monitors)'
complete -c arbiterctl -n '__arbiterctl_at list-children @ 0' -a '(__arbiterctl_list list-monitors)'
complete -c arbiterctl -n '__arbiterctl_at add-child @ 0' -a '(__arbiterctl_list list-monitors)'
complete -c arbiterctl -n '__arbiterctl_at remove-child @ 0' -a '(__arbiterctl_list list-monitors)'
complete -c arbiterctl -n '__arbiterctl_at scale @ 0' -a '(__arbiterctl_list list-monitors)'
complete -c arbiterctl -n '__arbiterctl_at spawn @ 0' -a '(__arbiterctl_definitions)'
complete -c arbiterctl -n '__arbiterctl_at send @ 1' -a '(__arbiterctl_commands)'
complete -c arbiterctl -n '__arbiterctl_at wait @ 1' -a 'initial inactive starting running ready stopping closed terminated failed stopped gone'
complete -c arbiterctl -n '__arbiterctl_at cat' -a '(__arbiterctl_configured)'
complete -c arbiterctl -n '__arbiterctl_at verify' -F

complete -c arbiterctl -s h -l help -d 'Show the help'
complete -c arbiterctl -l version -d 'Show the version'
complete -c arbiterctl -l system -d "The system's arbiter, by the system bus"
complete -c arbiterctl -l user -d "The user's arbiter, by the user bus"
complete -c arbiterctl -s H -l host -x -a '(__fish_print_hostnames)' -d 'The arbiter of another host, by ssh'
complete -c arbiterctl -s M -l machine -x -d 'The arbiter in a container'
complete -c arbiterctl -l instance -x -d 'The arbiter of arbiter@NAME.service'
complete -c arbiterctl -l runtime-dir -x -a '(__fish_complete_directories)' -d 'The arbiter whose directory this is'
complete -c arbiterctl -l json -x -a 'pretty short off' -d 'As JSON'
complete -c arbiterctl -l no-legend -d 'No column titles, no totals'
complete -c arbiterctl -l no-pager -d 'No pager'
complete -c arbiterctl -s q -l quiet -d 'Results only'
complete -c arbiterctl -l no-block -d 'Do not wait until the work is done'
complete -c arbiterctl -l abort -d 'reload, restart: go back to the definition before'
complete -c arbiterctl -l dry-run -d 'daemon-reload: only show what it would do'
complete -c arbiterctl -l no-ask-password -d 'Do not ask for a password'
complete -c arbiterctl -l timeout -x -d 'How long to wait'
complete -c arbiterctl -s n -l lines -x -d 'Lines of the journal'
complete -c arbiterctl -s l -l full -d 'Do not cut lines'
complete -c arbiterctl -s f -l follow -d 'log: go on as lines come'
complete -c arbiterctl -s o -l output -x -a 'short short-iso short-precise verbose json json-pretty cat' -d 'log: how lines look'
complete -c arbiterctl -l priority -x -a 'emerg alert crit err warning notice info debug' -d 'log: this important and more'
complete -c arbiterctl -l since -x -d 'log: not older'
complete -c arbiterctl -l until -x -d 'log: not newer'
complete -c arbiterctl -s x -l catalog -d 'log: explain messages'
complete -c arbiterctl -s b -l batch -d 'top: one table after the other'
complete -c arbiterctl -s d -l delay -x -d 'top: time between looks'
complete -c arbiterctl -l iterations -x -d 'top: so many looks'
complete -c arbiterctl -s p -l property -x -a '(__arbiterctl_properties)' -d 'show: only these properties'
complete -c arbiterctl -l value -d 'show: values without their names'
complete -c arbiterctl -s s -l signal -x -a '(__fish_make_completion_signals; printf "%s\n" SIGTERM SIGKILL SIGHUP SIGINT SIGUSR1 SIGUSR2 SIGSTOP SIGCONT)' -d 'kill: which one'
complete -c arbiterctl -s c -l count -x -d 'ping: how many rounds'
complete -c arbiterctl -s i -l interval -x -d 'ping: time between rounds'
complete -c arbiterctl -l hold -d 'send: wait for one who is restarted'
complete -c arbiterctl -l key -x -d 'send: the same worker of a pool for the same key'
complete -c arbiterctl -l routing -x -a 'round-robin least-outstanding consistent-hash broadcast' -d 'send: to which worker'
complete -c arbiterctl -l to -x -a 'monitor pool' -d 'send: to which of the two that have the name'
complete -c arbiterctl -l config-dir -x -a '(__fish_complete_directories)' -d 'cat, verify: read this directory'
