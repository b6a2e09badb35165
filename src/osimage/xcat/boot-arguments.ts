/**
 * The kernel line of a stateless xCAT image, in xCAT's order, for each node by its attributes: `image` is the packed root
 * image below `files/`, whose name must be one that xCAT's dracut module knows (`rootimg.cpio.gz` …).
 */
export function netbootArguments(image: string): string {
  return [
    `imgurl={{ files }}/${image}`,
    'XCAT={{ xcat.master }}:3001',
    'NODE={{ node.name }}',
    'FC=0',
    '{{ xcat.status }}',
    'XCATHTTPPORT={{ xcat.httpport }}',
    '{{ xcat.network }}',
    '{{ xcat.console }}',
    '{{ xcat.selinux }}',
    '{{ xcat.crashkernel }}',
    '{{ xcat.added }}',
    '{{ xcat.bootif }}',
  ].join(' ');
}

/** The kernel line of Anaconda (EL 7 and newer) as xCAT writes it, with the node's kickstart file. */
export function kickstartArguments(): string {
  return [
    'inst.repo={{ tree }}',
    'inst.ks={{ answerfile }}',
    '{{ xcat.ip }}',
    '{{ xcat.textconsole }}',
    '{{ xcat.added }}',
    '{{ xcat.bootif }}',
  ].join(' ');
}

/** The kernel line of xCAT's genesis: what it is booted for is `xcat.destiny`. */
export function genesisArguments(): string {
  return 'quiet {{ xcat.console }} xcatd={{ xcat.master }}:3001 destiny={{ xcat.destiny }} {{ xcat.bootif }}';
}
