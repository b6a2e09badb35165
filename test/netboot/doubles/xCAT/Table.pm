# The shapes in which xCAT's tables answer, over a hash: $xCAT::Table::tables{table}{key}{column}.
package xCAT::Table;
use strict;
use warnings;

our %tables;

sub new {
    my ($class, $name) = @_;
    return bless { rows => $tables{$name} ||= {} }, $class;
}

sub getNodesAttribs {
    my ($self, $nodes, $columns) = @_;
    my %found;
    for my $node (@$nodes) {
        my $row = $self->{rows}{$node} or next;
        $found{$node} = [ { node => $node, map { ($_ => $row->{$_}) } @$columns } ];
    }
    return \%found;
}

sub getAttribs {
    my ($self, $key, @columns) = @_;
    my ($value) = values %$key;
    my $row = $self->{rows}{$value} or return undef;
    return { map { ($_ => $row->{$_}) } @columns };
}

1;
