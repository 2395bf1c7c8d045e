# Ruby's own file calls, and libc's functions taken by Fiddle from a handle of dlopen's, on the same files.
require "digest"
require "fiddle"
require "fiddle/import"

module Libc
  extend Fiddle::Importer
  dlload "libc.so.6"
  extern "ssize_t pread(int, void *, size_t, long)"
  extern "ssize_t pwrite(int, const void *, size_t, long)"
  extern "ssize_t read(int, void *, size_t)"
  extern "long lseek(int, long, int)"
  extern "int dup2(int, int)"
  extern "int close(int)"
  extern "int ftruncate(int, long)"
  extern "int fsync(int)"
end

PAGE = 4096
PAGES = 100

def page(name, number) = (Digest::SHA256.digest("#{name} #{number}") * (PAGE / 32))

def short(data) = "#{data.bytesize}:#{Digest::SHA256.hexdigest(data)[0, 12]}"

def pread(fd, count, offset)
  buffer = "\0" * count
  done = Libc.pread(fd, buffer, count, offset)
  done < 0 ? "errno #{Fiddle.last_error}" : short(buffer.byteslice(0, done))
end

%w[one two].each { |name| File.binwrite(name, (0...PAGES).map { |number| page(name, number) }.join) }
one = File.open("one", "r+b")
two = File.open("two", "r+b")
[one, two].each do |file|
  64.times do |index|
    raise "wrong page" unless file.pread(PAGE, index * PAGE) == page(file.path, index)
    file.pwrite(page(file.path, index), index * PAGE)
  end
end

puts "pread #{pread(one.fileno, 5000, 12_345)} #{short(one.pread(5000, 12_345))}"
puts "pwrite #{Libc.pwrite(one.fileno, "x" * 3000, 3000, 50_000)} #{short(one.pread(5000, 49_000))}"
puts "lseek #{Libc.lseek(one.fileno, 70_001, 0)} #{short(one.sysread(6000))} #{one.sysseek(0, IO::SEEK_CUR)}"
buffer = "\0" * 2000
puts "read #{Libc.read(one.fileno, buffer, 2000)} #{short(buffer)} #{one.sysseek(0, IO::SEEK_CUR)}"
puts "syswrite #{one.sysseek(1000)} #{one.syswrite("y" * 9000)} #{pread(one.fileno, 12_000, 0)}"

puts "dup2 #{Libc.dup2(one.fileno, two.fileno) == two.fileno}"
puts short(two.pread(PAGE, 20 * PAGE)), two.pwrite("z" * 2000, 20 * PAGE), short(one.pread(PAGE, 20 * PAGE))
puts "two is as it was: #{short(File.binread("two", PAGE, 20 * PAGE)) == short(page("two", 20))}"

extra = IO.sysopen("two", File::RDWR)
io = IO.for_fd(extra, "r+b", autoclose: false)
30.times { |index| io.pread(PAGE, index * PAGE) }
puts "close #{Libc.close(extra)} #{pread(extra, 10, 0)}"
again = File.open("one", "r+b")
puts "again #{again.fileno == extra} #{short(again.pread(PAGE, 5 * PAGE))} #{again.pwrite("again" * 200, 5 * PAGE)}"

puts "ftruncate #{Libc.ftruncate(one.fileno, 90_000)} #{short(one.pread(9000, 85_000))}"
begin
  puts "past the end #{one.pread(10, 90_000)}"
rescue EOFError
  puts "past the end nothing"
end
puts "fsync #{Libc.fsync(one.fileno)} #{one.size}"

# Ruby's own buffers, copies, locks and children.
one.rewind
puts short(one.read(10_000)), one.pos, short(one.readpartial(5000)), one.pos
one.seek(-100, IO::SEEK_END)
one.write("the end, and more than it" * 10)
one.flush
puts one.size, short(File.binread("one"))
puts IO.copy_stream("one", "copy", 50_000, 1_000), short(File.binread("copy"))
one.flock(File::LOCK_EX)
child = fork do
  again.pos = 30_000
  $stdout.syswrite("child #{short(again.sysread(8000))} #{again.pwrite("c" * 6000, 8_000)}\n")
  exit!(0)
end
Process.wait(child)
puts short(one.pread(20_000, 0)), again.sysseek(0, IO::SEEK_CUR)
puts IO.popen(["cksum", "one", "copy"], &:read)
one.each_line("y").first(3).each { |line| puts short(line) }
%w[one two copy].each { |name| puts "#{name} #{short(File.binread(name))}" }
