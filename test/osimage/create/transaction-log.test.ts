import test from 'ava';
import {
  failedPackages,
  failedScripts,
  foreignFile,
  warningsOf,
} from '../../../src/osimage/create/transaction-log.js';

// What rpm 4.18 wrote.
const LOG = `error: unpacking of archive failed on file /proc: cpio: chown failed - Device or resource busy
error: filesystem-1-1.noarch: install failed

error: failed to exec scriptlet interpreter /bin/sh: No such file or directory
warning: %post(busybox-1-1.noarch) scriptlet failed, exit status 127

warning: group mail does not exist - using root
warning: group mail does not exist - using root
error: %prein(kernel-4.19-1.x86_64) scriptlet failed, signal 9
warning: /tmp/x.rpm: Header V4 RSA/SHA256 Signature, key ID 3fd3ac9e: NOKEY
Error in POSTIN scriptlet in rpm package busybox
`;

test('scripts that failed, how and why', (t) => {
  t.deepEqual(failedScripts(LOG), [
    {
      package: 'busybox-1-1.noarch',
      text: 'the %post script of busybox-1-1.noarch failed, exit status 127: failed to exec scriptlet interpreter /bin/sh: No such file or directory',
    },
    { package: 'kernel-4.19-1.x86_64', text: 'the %pre script of kernel-4.19-1.x86_64 failed, signal 9' },
  ]);
});

test('packages that were not unpacked', (t) => {
  t.deepEqual(failedPackages(LOG), ['filesystem-1-1.noarch']);
});

test('other warnings, each once', (t) => {
  t.deepEqual(warningsOf(LOG), ['group mail does not exist - using root']);
});

test('a file that could not be given to its owner', (t) => {
  t.is(foreignFile(LOG), '/proc');
  const said =
    'error: unpacking of archive failed on file /mailbox;6b021694: cpio: chown failed - Invalid argument\n';
  t.is(foreignFile(said), '/mailbox');
  t.is(foreignFile('error: unpacking of archive failed on file /a;1: cpio: write failed\n'), undefined);
});
