"""Runs a command in a pseudo-terminal and prints what it wrote, as JSON.

Arguments: columns, rows, the steps, the command. A step is `wait=TEXT`, `type=TEXT`, `size=COLUMNSxROWS` or `kill=SIGNAL`; steps are
separated by `|`. The modes are those before, after the last wait, and at the end; each says whether lines and echo are on.
"""

import fcntl, json, os, re, select, signal, struct, sys, termios, time

columns, rows, steps, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split("|"), sys.argv[4:]
main, side = os.openpty()


def resize(columns, rows):
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def mode():
    flags = termios.tcgetattr(side)[3]
    return [bool(flags & termios.ICANON), bool(flags & termios.ECHO)]


resize(columns, rows)
modes = [mode()]
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(side, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(side, descriptor)
    os.execv(command[0], command)

written, seen, deadline = b"", 0, time.monotonic() + 120
status = None
while True:
    ready, _, _ = select.select([main], [], [], 0.02)
    if ready:
        written += os.read(main, 65536)
    elif status is not None:
        break
    elif os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if time.monotonic() > deadline:
        os.kill(child, signal.SIGKILL)
        sys.exit(f"waited in vain for {steps[:1]}: {written.decode(errors='replace')}")
    while steps and steps[0]:
        what, value = steps[0].split("=", 1)
        if what == "wait":
            found = written.find(value.encode(), seen)
            if found < 0:
                break
            seen = found
            modes[1:] = [mode()]
        elif what == "type":
            os.write(main, value.encode())
        elif what == "size":
            resize(*map(int, value.split("x")))
        else:
            os.kill(child, getattr(signal, value))
        steps.pop(0)

text = written.decode()
# Without the sequences of the cursor, of colours and of the taskbar.
plain = re.sub("\x1b\\[[0-9;?]*[A-Za-z]|\x1b\\][^\x1b]*\x1b\\\\", "", text)
widest = max(re.split("[\r\n]+", plain), key=len)
print(json.dumps({"text": text, "plain": plain, "widest": widest, "modes": [*modes, mode()], "code": status}))
