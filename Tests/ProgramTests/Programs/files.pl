#!/usr/bin/perl -T
# Perl over files: sysread, sysseek and syswrite, its own buffers, tied handles, children, and taint checks switched on.
use strict;
use warnings;
use Digest::SHA qw(sha256 sha256_hex);
use Fcntl qw(:DEFAULT :flock :seek);
use File::Copy qw(copy move);
use IO::Handle;
use POSIX ();

$ENV{PATH} = "/usr/bin:/bin";
delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};
$| = 1;

use constant { PAGE => 4096, PAGES => 300 };
sub page { my ($name, $number) = @_; return sha256("$name $number") x (PAGE / 32) }
sub short { my ($data) = @_; return length($data) . ":" . substr(sha256_hex($data), 0, 12) }
sub whole { my ($name) = @_; open my $in, "<:raw", $name or die; local $/; return scalar <$in> }

sysopen my $file, "file", O_RDWR | O_CREAT | O_TRUNC, 0640 or die;
for my $number (0 .. PAGES - 1) { syswrite($file, page("file", $number)) == PAGE or die }
my $good = 0;
for my $round (0 .. 599) {
    my $number = $round * 7 % PAGES;
    sysseek($file, $number * PAGE, SEEK_SET);
    my $count = sysread $file, my $data, PAGE;
    $good++ if $count == PAGE && $data eq page("file", $number);
    if ($round % 3 == 0) {
        sysseek($file, $number * PAGE, SEEK_SET);
        syswrite $file, page("again", $number);
        sysseek($file, -PAGE, SEEK_CUR);
        sysread $file, $data, PAGE;
        $good++ if $data eq page("again", $number);
        sysseek($file, -PAGE, SEEK_CUR);
        syswrite $file, page("file", $number);
    }
}
print "pages $good ", sysseek($file, 0, SEEK_CUR), "\n";

sysseek $file, 100_000, SEEK_SET;
my $data = "before";
print "into the middle ", sysread($file, $data, 7000, 3), " ", short($data), " ", sysseek($file, 0, SEEK_CUR), "\n";
print "from behind ", sysread($file, $data, 100, -50), " ", short($data), "\n";
sysseek $file, -1000, SEEK_END;
print "end ", sysread($file, $data, 9000), " ", sysread($file, $data, 10), " ", sysseek($file, 0, SEEK_CUR), "\n";
sysseek $file, 40_000, SEEK_SET;
print "write ", syswrite($file, "x" x 10_000, 6_000, 1_000), " ", short(whole("file")), "\n";

open my $buffered, "+<:raw", "file" or die;
read $buffered, $data, 12_345;
print "buffered ", short($data), " ", tell($buffered), "\n";
seek $buffered, 200_000, SEEK_SET;
print {$buffered} "y" x 3_000;
seek $buffered, 199_000, SEEK_SET;
read $buffered, $data, 5_000;
print "and back ", short($data), " ", eof($buffered) ? "end" : "more", "\n";
{
    local $/ = \1000;
    my @records = <$buffered>;
    print "records ", scalar(@records), " ", short(join "", @records), "\n";
}
truncate $buffered, 900_000;
print "cut ", -s "file", " ", sysseek($file, 895_000, SEEK_SET), " ", sysread($file, $data, 9_000), "\n";

# A handle that counts and hashes whatever passes.
package Counting {
    sub TIEHANDLE {
        my ($class, $name) = @_;
        open my $inner, "+<:raw", $name or die;
        bless {inner => $inner, bytes => 0}, $class
    }
    sub READ {
        my ($self, undef, $length, $offset) = @_;
        my $count = sysread $self->{inner}, $_[1], $length, $offset // 0;
        $self->{bytes} += $count;
        return $count;
    }
    sub WRITE {
        my ($self, $text, $length, $offset) = @_;
        $self->{bytes} += $length;
        syswrite $self->{inner}, $text, $length, $offset // 0
    }
    sub SEEK { my ($self, $to, $whence) = @_; return sysseek $self->{inner}, $to, $whence }
    sub READLINE {
        my ($self) = @_;
        my $line = "";
        while (sysread $self->{inner}, my $byte, 1) { $line .= $byte; last if $byte eq "\n" }
        return $line
    }
    sub CLOSE { my ($self) = @_; return close $self->{inner} }
}
open my $lines, ">", "lines" or die;
print {$lines} "line $_ of a file that is read byte by byte\n" for 1 .. 2000;
close $lines;
my $tied = tie *TIED, "Counting", "lines";
for (1 .. 50) { read TIED, $data, 700 }
print "tied ", short($data), " ", scalar(<TIED>);
seek TIED, 10, SEEK_SET;
print "tied ", scalar(<TIED>), "written ", syswrite(TIED, "z" x 2_000), " ", $tied->{bytes}, "\n";
undef $tied;
untie *TIED;
print "lines ", short(whole("lines")), "\n";

# Children share the offset; a lock goes from one to the next.
sysseek $file, 0, SEEK_SET;
pipe my $reader, my $writer or die;
for my $child (1 .. 3) {
    my $process = fork // die;
    if (!$process) {
        open my $own, "+<:raw", "file" or die;
        flock $own, LOCK_EX or die;
        sysread $file, my $mine, 5_000;
        sysseek $own, 500_000 + $child * 8_192, SEEK_SET;
        syswrite $own, "child $child " x 800;
        syswrite $writer, "child $child " . short($mine) . "\n";
        POSIX::_exit(0);
    }
    waitpid $process, 0;
}
close $writer;
print <$reader>;
print "offset ", sysseek($file, 0, SEEK_CUR), " ", short(whole("file")), "\n";

my $name = $ARGV[0];
# What taint mode says of the last eval.
sub taint_says { return $@ =~ /^Insecure dependency/ ? "refused" : $@ }
print "tainted: ", (eval { open my $out, ">", $name; 1 } ? "opened" : taint_says()), "\n";
sysseek $file, 0, SEEK_SET;
sysread $file, $data, 5;
print "tainted bytes: ", (eval { system "true $data"; 1 } ? "executed" : taint_says()), "\n";

copy "file", "copy";
move "copy", "moved";
print short(whole("moved")), "\n", `cksum file moved lines`;
open my $piped, "-|", "sort -r lines | head -n 3" or die;
print <$piped>;
sysopen my $log, "log", O_WRONLY | O_APPEND | O_CREAT, 0600 or die;
for (1 .. 100) { syswrite $log, "entry $_ " x 100; sysseek $log, 0, SEEK_SET }
print "log ", -s "log", " ", short(whole("log")), "\n";
$! = 0;
print "bad ", defined(sysread $log, $data, 10) ? "read" : $!, "\n";
