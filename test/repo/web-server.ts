import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { freePort } from '../free-port.js';

const NGINX = '/usr/sbin/nginx';

/** nginx serving a directory on loopback, with or without listings; its URL, and what stops it. */
export async function serveDirectory(
  t: Pick<ExecutionContext, 'teardown'>,
  dir: string,
  options: { readonly listings: boolean } = { listings: true },
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  await access(NGINX).catch(() => {
    throw new Error('nginx is missing; install the Debian package nginx-light');
  });
  const work = await mkdtemp(path.join(tmpdir(), 'rackboot-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${work}/${name};`,
  );
  const configuration = `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off; master_process off; pid ${work}/pid; error_log ${work}/error.log;
events { worker_connections 256; }
http {
  access_log off; sendfile on; ${temporary.join(' ')}
  server { listen 127.0.0.1:${port}; root "${dir}"; autoindex ${options.listings ? 'on' : 'off'}; }
}
`;
  await writeFile(path.join(work, 'nginx.conf'), configuration);
  const child = spawn(NGINX, ['-e', 'stderr', '-p', work, '-c', path.join(work, 'nginx.conf')], {
    stdio: 'ignore',
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  t.teardown(async () => {
    await stop();
    await rm(work, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 200; attempt++) {
    const answers = await fetch(url).then(
      async (answer) => answer.arrayBuffer().then(() => true),
      () => false,
    );
    if (answers) return { url, stop };
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('nginx does not answer');
}
