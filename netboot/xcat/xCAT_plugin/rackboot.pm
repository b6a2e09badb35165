# nodeset for the nodes whose noderes.netboot is rackboot: xCAT's setdestiny works out what each node is to do, and
# rackboot is told over HTTP; it answers the nodes when they boot. docs/xcat-plugin.md says how to install it.
package xCAT_plugin::rackboot;

BEGIN {
    $::XCATROOT = $ENV{XCATROOT} || $::XCATROOT || '/opt/xcat';
}
use lib "$::XCATROOT/lib/perl";
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP ();
use xCAT::NetworkUtils;
use xCAT::Table;
use xCAT::TableUtils;

# Nodes told to rackboot in one request; it takes 1000.
use constant NODES_A_REQUEST => 500;

my $USAGE = <<'END';
Usage: nodeset <noderange> osimage[=<imagename>] | boot | shell | standby | runcmd=<command> | runimage=<url> |
               offline | shutdown | enact | next | stat [--noupdateinitrd] [--ignorekernelchk] [-V|--verbose]
       nodeset <noderange> stat [-a]
END

# Nodes with noderes.netboot=rackboot come here.
sub handled_commands {
    return { nodeset => 'noderes:netboot' };
}

# One rackboot serves all nodes, so nothing goes to service nodes: the request is handled here, whole.
sub preprocess_request {
    my ($request, $callback) = @_;
    return [$request] if first($request->{_xcatpreprocessed});
    my $order = read_order($request, $callback) or return [];
    return [{ %$request, _xcatpreprocessed => [1] }];
}

sub process_request {
    my ($request, $callback, $subreq) = @_;
    my @nodes = @{ $request->{node} || [] };
    return unless @nodes;
    my $order = read_order($request, $callback) or return;
    my $rackboot = eval {
        my $found = connection();
        # Asked for nothing, to see that it will take what comes: setdestiny is not undone.
        $found->ask(POST => '/api/v1/nodeset', { nodes => [] }) unless $order->{state} eq 'stat';
        $found;
    };
    return refuse($callback, "$@") unless $rackboot;
    return tell_states($rackboot, $callback, @nodes) if $order->{state} eq 'stat';

    my $inittime = first($request->{inittime}) || 0;
    @nodes = run_prescripts('runbeginpre', $order, $callback, $subreq, @nodes) unless $inittime;
    return unless @nodes;

    my ($seen, $parameters) = set_destiny($order, $inittime, $callback, $subreq, @nodes);
    my @set = grep { defined $seen->{destiny}{$_} && !$seen->{failed}{$_} } @nodes;
    return unless @set;
    my @orders = orders_for($seen->{destiny}, $parameters, $callback, @set);
    my @done = hand_over($rackboot, $seen->{destiny}, $callback, @orders);
    run_prescripts('runendpre', $order, $callback, $subreq, @done) unless $inittime || !@done;
    return;
}

# Runs the site's prescripts for nodes; those that they did not fail for are returned.
sub run_prescripts {
    my ($command, $order, $callback, $subreq, @nodes) = @_;
    my $seen = xCAT_plugin::rackboot::Seen->new($callback);
    my $request = { command => [$command], node => \@nodes, arg => [ $order->{state} ] };
    $subreq->($request, sub { $seen->take(@_) });
    return if $seen->{errors};
    return grep { !$seen->{failed}{$_} } @nodes;
}

# The one state that is asked for and the flags for setdestiny; nothing, with the reason said, where there is not one.
sub read_order {
    my ($request, $callback) = @_;
    my (@states, @flags, $all);
    for my $word (@{ $request->{arg} || [] }) {
        if ($word =~ /^(?:-h|--help|-\?)$/) {
            $callback->({ data => [$USAGE] });
            return;
        }
        elsif ($word =~ /^--(?:noupdateinitrd|ignorekernelchk)$/) { push @flags, $word }
        elsif ($word =~ /^(?:-a|--all)$/)                         { $all = 1 }
        elsif ($word =~ /^(?:-V|--verbose)$/)                     { }
        else                                                      { push @states, $word }
    }
    my $problem;
    if (@states != 1 || $states[0] eq '' || $states[0] =~ /^-/) {
        $problem = "Invalid argument: '@states'\n$USAGE";
    }
    elsif ($all && $states[0] ne 'stat') {
        $problem = q('-a' could only be used with 'stat' subcommand.);
    }
    return { state => $states[0], flags => \@flags } unless $problem;
    return refuse($callback, $problem);
}

# Has setdestiny work out what each node is to do: what it said, and the kernel lines by node.
sub set_destiny {
    my ($order, $inittime, $callback, $subreq, @nodes) = @_;
    my %parameters;
    my $seen = xCAT_plugin::rackboot::Seen->new($callback);
    my $state = $order->{state};
    my %groups = ($state => \@nodes);
    if ($state eq 'osimage') {
        # setdestiny refuses "osimage" alone for a netboot it does not know; it takes the name of each node's own.
        my $provmethod = column('nodetype', 'provmethod', @nodes);
        %groups = ();
        for my $node (@nodes) {
            if ($provmethod->{$node}) { push @{ $groups{"osimage=$provmethod->{$node}"} }, $node }
            else { fail_nodes($callback, 'OS image name must be specified in nodetype.provmethod', $node) }
        }
    }
    for my $target (sort keys %groups) {
        my @group = @{ $groups{$target} };
        my $errors = $seen->{errors};
        $subreq->(
            {
                command    => ['setdestiny'],
                node       => \@group,
                inittime   => [$inittime],
                arg        => [ $target, @{ $order->{flags} } ],
                bootparams => \%parameters,
            },
            sub { $seen->take(@_) },
        );
        next if $seen->{errors} > $errors;
        my @silent = grep { !defined $seen->{destiny}{$_} } @group;
        my $chain = @silent ? column('chain', 'currstate', @silent) : {};
        $seen->{destiny}{$_} = $chain->{$_} for grep { defined $chain->{$_} } @silent;
    }
    return ($seen, \%parameters);
}

# What rackboot is asked for each node; nodes it cannot be asked for are failed.
sub orders_for {
    my ($destiny, $parameters, $callback, @nodes) = @_;
    my $provmethod = column('nodetype', 'provmethod', @nodes);
    my (@orders, %added);
    for my $node (@nodes) {
        my $order = eval {
            my $target = target_of($destiny->{$node}, $provmethod->{$node});
            $added{$target} = added_by_image($target) unless exists $added{$target};
            my %order = (node => text($node), target => text($target));
            my $found = $parameters->{$node};
            $found = $found->[0] if ref $found eq 'ARRAY';
            $order{line} = text(kernel_line($node, $found, $added{$target})) if $found && defined $found->{kcmdline};
            delete $order{line} if $target eq 'boot' || $target eq 'offline';
            \%order;
        };
        if ($order) { push @orders, $order }
        else        { fail_nodes($callback, "$@", $node) }
    }
    return @orders;
}

# rackboot's word for a destiny of xCAT's.
sub target_of {
    my ($destiny, $osimage) = @_;
    if ($destiny =~ /^(?:install|netboot|statelite|sysclone)\b/) {
        return "osimage=$osimage" if $osimage;
        die "OS image name must be specified in nodetype.provmethod\n";
    }
    return 'boot'    if $destiny eq 'boot' || $destiny eq 'shutdown';
    return $destiny  if $destiny =~ /^(?:offline|shell|standby)$/;
    return $destiny  if $destiny =~ /^(?:runcmd|runimage)=/;
    $destiny = text($destiny);
    die "rackboot cannot do '$destiny'; use xnba, pxe or grub2 as noderes.netboot for that\n";
}

# The words that the osimage of a target adds to kernel lines.
sub added_by_image {
    my ($target) = @_;
    my ($osimage) = $target =~ /^osimage=(.*)/ or return '';
    my $table = xCAT::Table->new('linuximage') or return '';
    my $image = $table->getAttribs({ imagename => $osimage }, 'addkcmdline') || {};
    return defined $image->{addkcmdline} ? $image->{addkcmdline} : '';
}

# The kernel line as xCAT's own plugins write it into boot files, without what is for the installed system (R::).
sub kernel_line {
    my ($node, $parameters, $by_image) = @_;
    my @added = grep { defined } $parameters->{addkcmdline}, $by_image;
    my @words = grep { !/^R::/ } map { split ' ', expand_macros($node, $_) } @added;
    my $line = join ' ', $parameters->{kcmdline}, @words;
    return $line unless $line =~ /!myipfn!/;
    my ($address) = grep { defined && /[.:]/ } xCAT::NetworkUtils->my_ip_facing($node);
    die "no address of this server is on a network of the node's; set noderes.xcatmaster\n" unless $address;
    $line =~ s/!myipfn!/$address/g;
    return $line;
}

# #NODEATTRIB:table:column# and #TABLE:table:$NODE:column# of addkcmdline, out of the tables.
sub expand_macros {
    my ($node, $words) = @_;
    $words =~ s{#(?:NODEATTRIB:(\w+):(\w+)|TABLE:(\w+):\$NODE:(\w+))#}{
        my $found = column($1 || $3, $2 || $4, $node)->{$node};
        defined $found ? $found : '';
    }ge;
    return $words;
}

# Tells rackboot, and the client which nodes are set; those are returned.
sub hand_over {
    my ($rackboot, $destiny, $callback, @orders) = @_;
    my @done;
    while (my @some = splice @orders, 0, NODES_A_REQUEST) {
        my $answer = eval { $rackboot->ask(POST => '/api/v1/nodeset', { nodes => \@some }) };
        if (!$answer) {
            fail_nodes($callback, again("$@"), map { $_->{node} } @some);
            next;
        }
        $callback->({ warning => [ bytes($_) ] }) for @{ $answer->{warnings} || [] };
        my %outcome = map { ($_->{node} => $_) } @{ $answer->{nodes} || [] };
        for my $node (map { $_->{node} } @some) {
            my $outcome = $outcome{$node} || { error => { message => 'rackboot did not say what became of it' } };
            if ($outcome->{error}) {
                fail_nodes($callback, again($outcome->{error}{message}), $node);
                next;
            }
            $callback->({ node => [ { name => [$node], data => [ $destiny->{$node} ] } ] });
            push @done, $node;
        }
    }
    return @done;
}

# xCAT's tables are changed before rackboot is asked: the operator must know that the two differ.
sub again {
    my ($message) = @_;
    $message =~ s/\s+\z//;
    return "$message (the node keeps what rackboot had for it; mend that and run nodeset again)";
}

# nodeset stat: what rackboot would have each node boot.
sub tell_states {
    my ($rackboot, $callback, @nodes) = @_;
    my $answer = eval { $rackboot->ask(GET => '/api/v1/nodeset') };
    return refuse($callback, "$@") unless $answer;
    my %state = map { ($_->{node} => $_->{state}) } @$answer;
    for my $node (@nodes) {
        if (defined $state{$node}) { $callback->({ node => [ { name => [$node], data => [ bytes($state{$node}) ] } ] }) }
        else { fail_nodes($callback, 'rackboot has no node of that name; add it with: rackboot node import', $node) }
    }
    return;
}

sub refuse {
    my ($callback, $message) = @_;
    $message =~ s/\s+\z//;
    $callback->({ error => [ bytes($message) ], errorcode => [1] });
    return;
}

sub fail_nodes {
    my ($callback, $message, @nodes) = @_;
    $message =~ s/\s+\z//;
    $callback->({ node => [ { name => [$_], error => [ bytes($message) ], errorcode => [1] } ] }) for @nodes;
    return;
}

# One column of a table for nodes, as a hash by node.
sub column {
    my ($name, $column, @nodes) = @_;
    my $table = xCAT::Table->new($name) or return {};
    my $rows = $table->getNodesAttribs(\@nodes, [$column]) || {};
    return { map { ($_ => first($rows->{$_}) && first($rows->{$_})->{$column}) } @nodes };
}

# A value that xCAT wraps in a list, or does not.
sub first {
    my ($value) = @_;
    return ref $value eq 'ARRAY' ? $value->[0] : $value;
}

# Bytes of xCAT's tables as the characters that they mean, and back: its sockets take bytes.
sub text {
    my ($text) = @_;
    utf8::decode($text) if utf8::downgrade($text, 1);
    return $text;
}

sub bytes {
    my ($text) = @_;
    utf8::encode($text);
    return $text;
}

# How rackboot is reached: the environment of xcatd, else the site table, else the usual. Dies saying the mend.
sub connection {
    my ($url)     = setting('url',       'http://127.0.0.1:8080');
    my ($file)    = setting('tokenfile', '/etc/xcat/rackboot.token');
    my ($timeout) = setting('timeout',   60);
    my ($ca)      = setting('cafile',    undef);
    $url =~ s{/+$}{};
    die "rackboot_timeout '$timeout' is no number of seconds\n" unless $timeout =~ /^\d+(?:\.\d+)?$/ && $timeout > 0;
    die "rackboot_url '$url': the token may travel by https:// only, or to this machine itself\n"
      unless $url =~ m{^https://[^/\s]} || $url =~ m{^http://(?:127(?:\.\d+){3}|localhost|\[::1\])(?::\d+)?(?:/|$)};
    return bless { url => $url, file => $file, timeout => $timeout, ca => $ca }, 'xCAT_plugin::rackboot::Connection';
}

sub setting {
    my ($name, $default) = @_;
    for my $value ($ENV{ 'RACKBOOT_' . uc $name }, xCAT::TableUtils->get_site_attribute("rackboot_$name")) {
        return $value if defined $value && $value ne '';
    }
    return $default;
}

package xCAT_plugin::rackboot::Connection;

# The answer to a request, decoded. Dies with one line that says the mend.
sub ask {
    my ($self, $method, $path, $body) = @_;
    # xcatd may have been started with a proxy for the world; rackboot is never behind it.
    delete local @ENV{qw(http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY)};
    my $http = HTTP::Tiny->new(
        timeout      => $self->{timeout},
        verify_SSL   => 1,
        max_redirect => 0,
        $self->{ca} ? (SSL_options => { SSL_ca_file => $self->{ca} }) : (),
    );
    my %options;
    if ($body) {
        my $token = $self->token;
        $options{headers} = { 'Content-Type' => 'application/json', Authorization => "Bearer $token" };
        $options{content} = JSON::PP->new->utf8->canonical->encode($body);
    }
    my $response = $http->request($method, "$self->{url}$path", \%options);
    my $decoded = eval { JSON::PP->new->utf8->decode($response->{content}) };
    return $decoded if $response->{success} && ref $decoded eq ($body ? 'HASH' : 'ARRAY');
    my $where = "rackboot at $self->{url}";
    if ($response->{status} == 599) {
        my ($reason) = split /\n/, $response->{content};
        die "$where does not answer: $reason; is rackboot serve running?\n";
    }
    my $said = ref $decoded eq 'HASH' && ref $decoded->{error} eq 'HASH' ? $decoded->{error}{message} : undef;
    die "$where refuses the token in $self->{file}; put there what api.token of its site holds\n"
      if $response->{status} == 401;
    die "$where: $said\n" if defined $said;
    die "$where: HTTP $response->{status} and no answer of rackboot's; check rackboot_url\n";
}

# The token, out of a file that is its owner's alone.
sub token {
    my ($self) = @_;
    my $file = $self->{file};
    my $mend = 'copy api.token of the rackboot site there';
    open my $handle, '<', $file or die "$file cannot be read: $!; $mend\n";
    my $mode = (stat $handle)[2];
    die "$file may be read by others; make it yours alone: chmod 600 $file\n" if $mode & 077;
    my $token = <$handle>;
    close $handle;
    $token = '' unless defined $token;
    $token =~ s/\s+\z//;
    die "$file holds no token; $mend\n" unless $token =~ /^[!-~]+$/;
    return $token;
}

# What commands that run within this one say: passed on to the client, but for what is not true of rackboot.
package xCAT_plugin::rackboot::Seen;

sub new {
    my ($class, $callback) = @_;
    return bless { callback => $callback, destiny => {}, failed => {}, errors => 0 }, $class;
}

sub take {
    my ($self, $response) = @_;
    return unless ref $response eq 'HASH';
    my %rest = %$response;
    my $nodes = delete $rest{node};
    $self->take_node($_) for ref $nodes eq 'ARRAY' ? @$nodes : grep { ref } $nodes;
    if (exists $rest{warning}) {
        # setdestiny has a list of its own of what noderes.netboot may be.
        my @true = grep { !/\brackboot might be invalid when provisioning/ } list($rest{warning});
        @true ? ($rest{warning} = \@true) : delete $rest{warning};
    }
    if (exists $rest{error}) {
        $self->{errors}++;
        $rest{error} = [ list($rest{error}) ];
        $rest{errorcode} = [1] unless exists $rest{errorcode};
    }
    delete @rest{qw(errorabort serverdone)};
    $self->{callback}->(\%rest) if grep { exists $rest{$_} } qw(error warning info sinfo data);
    return;
}

sub take_node {
    my ($self, $said) = @_;
    my $name = xCAT_plugin::rackboot::first($said->{name});
    return unless defined $name;
    if (exists $said->{error}) {
        $self->{failed}{$name} = 1;
        my $code = exists $said->{errorcode} ? [ list($said->{errorcode}) ] : [1];
        $self->{callback}->({ node => [ { name => [$name], error => [ list($said->{error}) ], errorcode => $code } ] });
        return;
    }
    $self->{callback}->({ node => [ { name => [$name], warning => [ list($said->{warning}) ] } ] })
      if exists $said->{warning};
    for my $key (qw(destiny data)) {
        my $destiny = xCAT_plugin::rackboot::first($said->{$key});
        next unless defined $destiny && !ref $destiny && $destiny ne '';
        $self->{destiny}{$name} = $destiny;
        last;
    }
    return;
}

sub list {
    my ($value) = @_;
    return ref $value eq 'ARRAY' ? @$value : ($value);
}

1;
