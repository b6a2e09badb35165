import { connectSsh, shownTarget, type SshOptions, type SshTarget } from '../../ssh/connection.js';
import { SshError } from '../../ssh/errors.js';
import type { PowerControl } from './control.js';
import { PowerError } from './errors.js';
import type { Press } from './verb.js';

/** What is run on a machine to switch it. */
export interface SshCommands {
  readonly reboot: string;
  readonly poweroff: string;
}

/** A machine without a BMC: its own system, which can end or start anew and never begin. */
export function sshControl(
  target: SshTarget,
  options: SshOptions,
  commands: SshCommands,
  signal: AbortSignal,
): PowerControl {
  const refuse = (what: string): PowerError =>
    new PowerError('UNSUPPORTED', `${what} cannot be done by ssh: that takes a BMC (attributes mgt and bmc)`);
  const command: Readonly<Record<Press, string | undefined>> = {
    on: undefined,
    nmi: undefined,
    off: commands.poweroff,
    softoff: commands.poweroff,
    reset: commands.reboot,
    cycle: commands.reboot,
  };
  let connection: ReturnType<typeof connectSsh> | undefined;
  const connect = (): ReturnType<typeof connectSsh> =>
    (connection ??= connectSsh(target, { ...options, signal }));
  return {
    async state() {
      await bounded(target, signal, connect());
      return 'on';
    },
    async press(press) {
      const line = command[press];
      if (line === undefined) throw refuse(press);
      await bounded(
        target,
        signal,
        connect().then((client) => runLast(client, target, line)),
      );
    },
    async bootNext() {
      throw refuse('choosing what it boots from');
    },
    async close() {
      await connection?.then(
        (client) => {
          client.on('error', () => undefined);
          client.end();
          client.destroy();
        },
        () => undefined,
      );
    },
  };
}

/** Runs what ends the machine: a connection that breaks off once it was taken is what was wanted. */
function runLast(
  client: Awaited<ReturnType<typeof connectSsh>>,
  target: SshTarget,
  line: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isTaken = false;
    const onLost = (): void => {
      if (isTaken) return resolve();
      reject(
        new PowerError(
          'UNREACHABLE',
          `${shownTarget(target)} was lost before it took '${line}'; see whether sshd runs there, and try again`,
        ),
      );
    };
    client.on('error', onLost);
    client.once('close', onLost);
    client.exec(line, (error, channel) => {
      isTaken = error === undefined;
      if (error !== undefined) {
        reject(
          new PowerError('REFUSED', `${shownTarget(target)} does not run '${line}': ${error.message}`, {
            cause: error,
          }),
        );
        return;
      }
      let said = '';
      channel.stderr.on('data', (chunk: Buffer) => {
        if (said.length < 4096) said += chunk.toString('utf8');
      });
      channel.resume();
      channel.once('close', (code: number | null | undefined) => {
        if (code === undefined || code === null || code === 0) return resolve();
        const last = said.trim().split('\n').at(-1)?.slice(0, 200);
        const why = last === undefined || last === '' ? '' : ` (${last})`;
        reject(
          new PowerError(
            'REFUSED',
            `${shownTarget(target)}: '${line}' ended with status ${code}${why}; run it there by hand`,
          ),
        );
      });
    });
  });
}

async function bounded<Value>(target: SshTarget, signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  const late = new PowerError(
    'TIMED_OUT',
    `${shownTarget(target)} did not answer in time; see whether it is reachable, or give it longer with --timeout`,
  );
  if (signal.aborted) throw late;
  let onAbort: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    onAbort = (): void => reject(late);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, ended]);
  } catch (error) {
    if (error instanceof SshError && error.code === 'UNREACHABLE' && signal.aborted) throw late;
    throw error;
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
