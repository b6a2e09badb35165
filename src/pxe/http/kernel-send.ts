import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import type { Sendfile } from '../../system/sendfile.js';

const { EINVAL, EOPNOTSUPP, ENOSYS, EPERM, EACCES } = constants.errno;

/** sendfile(2) until it is refused: by a file system for its own files, by what confines this process for all. */
export class KernelSend {
  readonly #call: Sendfile;
  readonly #devices = new Set<number>(); // of file systems that refused it
  #isForbidden = false;

  constructor(call: Sendfile) {
    this.#call = call;
  }

  /** The call, for the open file `fd`; undefined where it was refused before. */
  callFor(fd: number): Sendfile | undefined {
    if (this.#isForbidden) return undefined;
    return this.#devices.size > 0 && this.#devices.has(fstatSync(fd).dev) ? undefined : this.#call;
  }

  /** Notes that the call failed for the open file `fd` with `errno`; other failures than refusals are of that time only. */
  note(errno: number, fd: number): void {
    if (errno === EINVAL || errno === EOPNOTSUPP) this.#devices.add(fstatSync(fd).dev);
    if (errno === ENOSYS || errno === EPERM || errno === EACCES) this.#isForbidden = true;
  }
}
