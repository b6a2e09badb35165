import type { Command } from 'commander';
import type { RemoteOptions } from '../../osimage/remote.js';
import { collect } from '../repeated.js';

/** The flags of a command that reaches other machines by ssh. */
export interface RemoteFlags {
  readonly sshKey?: readonly string[];
  readonly knownHosts?: readonly string[];
}

/** Gives `command` the flags that say how other machines are reached. */
export function addRemoteOptions(command: Command): Command {
  return command
    .option(
      '--ssh-key <file>',
      'the private key for another machine, else those in ~/.ssh; an agent is asked first; may be repeated',
      collect,
    )
    .option(
      '--known-hosts <file>',
      'where the other machine’s host key is known, else ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts; may be repeated',
      collect,
    );
}

/** What the flags say. */
export function remoteOptions({ sshKey, knownHosts }: RemoteFlags): RemoteOptions {
  return {
    ...(sshKey === undefined ? {} : { keys: sshKey }),
    ...(knownHosts === undefined ? {} : { knownHosts }),
  };
}
