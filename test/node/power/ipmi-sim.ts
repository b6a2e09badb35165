import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packagedFile } from '../../product/commands.js';
import { freePort } from '../../free-port.js';

/** Debian's IPMI simulator on loopback, as the BMC of one machine. */
export interface IpmiSim {
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** What it was told, in order: `power 1`, `reset 1`, `boot pxe`; questions are left out. */
  told(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

const USERNAME = 'ADMIN';
const PASSWORD = 'sim-pass-9481';

/** Starts one whose machine is off, with its files in `dir`, which is new. */
export async function startIpmiSim(dir: string): Promise<IpmiSim> {
  await packagedFile('/usr/bin/ipmi_sim', 'openipmi');
  await packagedFile('/usr/bin/ipmitool', 'ipmitool');
  await mkdir(join(dir, 'state'), { recursive: true });
  const port = await freePort('udp');
  const [log, chassis] = [join(dir, 'told'), join(dir, 'chassis')];
  await writeFile(log, '');
  await writeFile(join(dir, 'power'), '0\n');
  await writeFile(join(dir, 'boot'), 'none\n');
  await writeFile(chassis, chassisScript(dir, log));
  await chmod(chassis, 0o755);
  const levels = ['callback', 'user', 'operator', 'admin'];
  await writeFile(
    join(dir, 'lan.conf'),
    [
      'name "sim"',
      'set_working_mc 0x20',
      'startlan 1',
      `addr 127.0.0.1 ${port}`,
      'priv_limit admin',
      ...levels.map((level) => `allowed_auths_${level} none md2 md5 straight`),
      'guid a123456789abcdefa123456789abcdef',
      'endlan',
      `chassis_control "${chassis} 0x20"`,
      `user 2 true "${USERNAME}" "${PASSWORD}" admin 10 none md2 md5 straight`,
      '',
    ].join('\n'),
  );
  await writeFile(
    join(dir, 'commands'),
    'mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n',
  );
  const words = ['-n', '-c', join(dir, 'lan.conf'), '-f', join(dir, 'commands'), '-s', join(dir, 'state')];
  const simulator = spawn('/usr/bin/ipmi_sim', words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(simulator, 'exit');
  let said = '';
  for (const stream of [simulator.stdout, simulator.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  try {
    await untilBound(port, () => {
      if (simulator.exitCode !== null) throw new Error(`ipmi_sim ended: ${said}`);
    });
  } catch (error) {
    simulator.kill('SIGKILL');
    throw error;
  }
  return {
    port,
    username: USERNAME,
    password: PASSWORD,
    async told() {
      return (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '');
    },
    async stop() {
      simulator.kill('SIGTERM');
      await ended;
    },
  };
}

/** What ipmi_sim runs to look at the machine and to change it: `ADDRESS get|set (NAME [VALUE])…`. */
function chassisScript(dir: string, log: string): string {
  return `#!/bin/sh
verb=$2
shift 2
while [ $# -gt 0 ]; do
  if [ "$verb" = get ]; then
    echo "$1:$(cat "${dir}/$1")"
    shift
  else
    echo "$1 $2" >> "${log}"
    case "$1" in power | boot) echo "$2" > "${dir}/$1" ;; esac
    shift 2
  fi
done
`;
}

/** Waits until a UDP port of loopback is taken: the simulator says nothing when it listens. */
async function untilBound(port: number, check: () => void): Promise<void> {
  const line = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (;;) {
    check();
    if ((await readFile('/proc/net/udp', 'utf8')).includes(line)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
