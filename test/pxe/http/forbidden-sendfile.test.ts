import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import test from 'ava';
import { fromLibc } from '../../../src/system/libc.js';
import { sendfile } from '../../../src/system/sendfile.js';
import { ask, digestOf, runSite } from './running-site.js';

const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_IF_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const SENDFILE: Readonly<Partial<Record<NodeJS.Architecture, number>>> = { x64: 40, arm64: 71 };

/** Has the kernel fail sendfile(2) with `errno` for this thread, for good: seccomp(2). Each test file has a process of its own. */
const forbidSendfile = fromLibc((c) => {
  const prctl = c.declare<[number, bigint, bigint, bigint, bigint], number>(
    'int prctl(int option, uint64_t a, uint64_t b, uint64_t d, uint64_t e)',
  );
  return (errno: number): void => {
    const number = SENDFILE[process.arch];
    if (number === undefined)
      throw new Error(`the number of sendfile(2) on ${process.arch} is not known here`);
    const filter = Buffer.alloc(4 * 8); // struct sock_filter: code, jt, jf, k
    const steps = [
      [LOAD_WORD, 0, 0, 0], // seccomp_data.nr
      [JUMP_IF_EQUAL, 0, 1, number],
      [RETURN, 0, 0, ERRNO | errno],
      [RETURN, 0, 0, ALLOW],
    ] as const;
    for (const [at, [code, yes, no, k]] of steps.entries()) {
      filter.writeUInt16LE(code, at * 8);
      filter.writeUInt8(yes, at * 8 + 2);
      filter.writeUInt8(no, at * 8 + 3);
      filter.writeUInt32LE(k, at * 8 + 4);
    }
    const program = Buffer.alloc(16); // struct sock_fprog: length, filter
    program.writeUInt16LE(steps.length, 0);
    program.writeBigUInt64LE(c.koffi.address(filter), 8);
    for (const outcome of [
      prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n),
      prctl(PR_SET_SECCOMP, BigInt(SECCOMP_MODE_FILTER), c.koffi.address(program), 0n, 0n),
    ])
      if (outcome !== 0) throw new Error(`prctl(2) failed with errno ${c.errno()}`);
  };
});

test('where seccomp forbids sendfile(2), the same bytes are served', async (t) => {
  const forbid = forbidSendfile();
  if (forbid === undefined) throw new Error('the C library cannot be called here');
  forbid(constants.errno.EPERM);
  t.is(sendfile()?.(-1, -1, 0, 1), -constants.errno.EPERM);
  const large = randomBytes(5_000_000);
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12', files: { large } });
  const path = `/images/d12@${id}/files/large`;
  for (const time of [1, 2]) t.is(digestOf((await ask(site, path)).body), digestOf(large), `time ${time}`);
  const part = await ask(site, path, { headers: { Range: 'bytes=100000-3999999' } });
  t.true(part.body.equals(large.subarray(100_000, 4_000_000)));
  const multipart = await ask(site, path, { headers: { Range: 'bytes=0-999999,2000000-4999999' } });
  t.true(multipart.body.includes(large.subarray(2_000_000)));
});
