import { accessSync, constants, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';

/**
 * The users that a user namespace of this user can have besides root: all that /etc/subuid and /etc/subgid give it, where
 * newuidmap can map them. Without any, packages can only hold files of root.
 */
export function identitiesOf(uid: number): { readonly identities?: 'all' } {
  const name = nameOf(uid);
  const mapped = ['/etc/subuid', '/etc/subgid'].every((file) => lists(file, name, uid));
  return mapped && isInstalled('newuidmap') && isInstalled('newgidmap') ? { identities: 'all' } : {};
}

function nameOf(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return String(uid); // it is in no passwd
  }
}

function lists(file: string, name: string, uid: number): boolean {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .some((line) => [name, String(uid)].includes(line.split(':')[0] ?? ''));
  } catch {
    return false;
  }
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((directory) => {
    try {
      accessSync(path.join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
