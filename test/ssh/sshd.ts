import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packagedFile } from '../product/commands.js';
import { freePort } from '../free-port.js';

/** A real sshd on loopback, whose only user is this one, by keys that were made for it. */
export interface Sshd {
  readonly port: number;
  readonly key: string; // the file of a private key that is let in
  readonly knownHosts: string; // a file with the host's keys
  readonly hostKey: string; // `ssh-ed25519 AAAA…`
  stop(): Promise<void>;
}

/** Starts it with its files in `dir`, which is new. `options` are lines of sshd_config. */
export async function startSshd(dir: string, options: readonly string[] = []): Promise<Sshd> {
  await packagedFile('/usr/sbin/sshd', 'openssh-server');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 }); // sshd's own, which systemd would make
  const made = (name: string, ...more: string[]): string => {
    const file = join(dir, name);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, ...more, '-f', file]);
    return file;
  };
  const [host, key] = [made('host'), made('user')];
  await writeFile(join(dir, 'authorized_keys'), await readFile(`${key}.pub`));
  await chmod(join(dir, 'authorized_keys'), 0o600);
  const port = await freePort();
  await writeFile(
    join(dir, 'sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${host}`,
      `AuthorizedKeysFile ${join(dir, 'authorized_keys')}`,
      `PidFile ${join(dir, 'pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
      'Subsystem sftp internal-sftp',
      ...options,
      '',
    ].join('\n'),
  );
  const server = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(dir, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(server, 'exit');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('Server listening on 127.0.0.1')) resolve();
    });
    server.once('exit', () => reject(new Error(`sshd ended: ${said}`)));
  });
  const [type = '', blob = ''] = (await readFile(`${host}.pub`, 'utf8')).split(' ');
  const knownHosts = join(dir, 'known_hosts');
  await writeFile(knownHosts, `[127.0.0.1]:${port} ${type} ${blob}\n`);
  return {
    port,
    key,
    knownHosts,
    hostKey: `${type} ${blob}`,
    async stop() {
      server.kill('SIGTERM');
      await ended;
    },
  };
}
