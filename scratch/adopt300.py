import sys, os, time, json
sys.dont_write_bytecode=True
sys.path.insert(0,'/work/wt/units/tests/integration')
import box as boxes
with boxes.Box('/work/wt/units/build-box','broker') as b:
    b.write_file('/etc/arbiter/nap.monitor','[Monitor]\nWorkers=300\nRestartIntensity=1000\n[Actor]\nConcurrency=unit\nUser=root\nExec=/bin/sleep 1000\n')
    b.write_file('/etc/systemd/system/arbiter.service.d/x.conf','[Service]\nRestartSec=1ms\n')
    b.write_file('/etc/systemd/system/empty.service','[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c "systemd-notify --ready; exec sleep 1000"\nRestart=always\nRestartSec=1ms\n')
    b.run(['systemctl','daemon-reload'])
    b.run(['systemctl','start','arbiter.service'])
    b.run(['sh','-c','while [ $(arbiterctl list-actors --no-legend | grep -c running) != 300 ]; do sleep 0.2; done'])
    def cpu():
        f=b.out('cat','/proc/1/stat').rpartition(')')[2].split()
        return (int(f[11])+int(f[12]))*10
    for i in range(4):
        time.sleep(3)
        c0=cpu(); cur=b.cursor(); pid=b.property('arbiter.service','MainPID')
        t=b.out('sh','-c','P=%s; A=$(date +%%s%%N); kill -9 $P; while ! arbiterctl --quiet ping -c1 nap.300 >/dev/null 2>&1; do :; done; B=$(date +%%s%%N); echo $(( (B-A)/1000 ))' % pid)
        time.sleep(3)
        c1=cpu()
        print('answering after', t.strip(), 'us; PID 1 cpu', c1-c0, 'ms')
        for e in b.entries(cur):
            m=str(e.get('MESSAGE'))
            if 're-adopted' in m or 'Scheduled' in m or 'Started arbiter.service' in m or 'exited' in m: print('  ', e['__MONOTONIC_TIMESTAMP'], m)
