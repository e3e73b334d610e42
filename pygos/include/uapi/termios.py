# SPDX-License-Identifier: Apache-2.0
"""Terminals: asm/termios.h, asm/termbits.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, u8, u16, u32

#: c_cc indices
NCCS: Final = 19
VINTR: Final = 0
VQUIT: Final = 1
VERASE: Final = 2
VKILL: Final = 3
VEOF: Final = 4
VTIME: Final = 5
VMIN: Final = 6
VSWTC: Final = 7
VSTART: Final = 8
VSTOP: Final = 9
VSUSP: Final = 10
VEOL: Final = 11
VREPRINT: Final = 12
VDISCARD: Final = 13
VWERASE: Final = 14
VLNEXT: Final = 15
VEOL2: Final = 16

#: c_iflag
IGNBRK: Final = 0x001
BRKINT: Final = 0x002
IGNPAR: Final = 0x004
PARMRK: Final = 0x008
INPCK: Final = 0x010
ISTRIP: Final = 0x020
INLCR: Final = 0x040
IGNCR: Final = 0x080
ICRNL: Final = 0x100
IXANY: Final = 0x800

IUCLC: Final = 0x0200
IXON: Final = 0x0400
IXOFF: Final = 0x1000
IMAXBEL: Final = 0x2000
IUTF8: Final = 0x4000

#: c_oflag
OPOST: Final = 0x01
OCRNL: Final = 0x08
ONOCR: Final = 0x10
ONLRET: Final = 0x20
OFILL: Final = 0x40
OFDEL: Final = 0x80

OLCUC: Final = 0x00002
ONLCR: Final = 0x00004
NLDLY: Final = 0x00100
NL0: Final = 0x00000
NL1: Final = 0x00100
CRDLY: Final = 0x00600
CR0: Final = 0x00000
CR1: Final = 0x00200
CR2: Final = 0x00400
CR3: Final = 0x00600
TABDLY: Final = 0x01800
TAB0: Final = 0x00000
TAB1: Final = 0x00800
TAB2: Final = 0x01000
TAB3: Final = 0x01800
XTABS: Final = 0x01800
BSDLY: Final = 0x02000
BS0: Final = 0x00000
BS1: Final = 0x02000
VTDLY: Final = 0x04000
VT0: Final = 0x00000
VT1: Final = 0x04000
FFDLY: Final = 0x08000
FF0: Final = 0x00000
FF1: Final = 0x08000

#: c_cflag
B0: Final = 0x00000000
B50: Final = 0x00000001
B75: Final = 0x00000002
B110: Final = 0x00000003
B134: Final = 0x00000004
B150: Final = 0x00000005
B200: Final = 0x00000006
B300: Final = 0x00000007
B600: Final = 0x00000008
B1200: Final = 0x00000009
B1800: Final = 0x0000000A
B2400: Final = 0x0000000B
B4800: Final = 0x0000000C
B9600: Final = 0x0000000D
B19200: Final = 0x0000000E
B38400: Final = 0x0000000F
EXTA: Final = 0o16
EXTB: Final = 0o17
ADDRB: Final = 0x20000000
CMSPAR: Final = 0x40000000
CRTSCTS: Final = 0x80000000
IBSHIFT: Final = 16

CBAUD: Final = 0x0000100F
CSIZE: Final = 0x00000030
CS5: Final = 0x00000000
CS6: Final = 0x00000010
CS7: Final = 0x00000020
CS8: Final = 0x00000030
CSTOPB: Final = 0x00000040
CREAD: Final = 0x00000080
PARENB: Final = 0x00000100
PARODD: Final = 0x00000200
HUPCL: Final = 0x00000400
CLOCAL: Final = 0x00000800
CBAUDEX: Final = 0x00001000
BOTHER: Final = 0x00001000
B57600: Final = 0x00001001
B115200: Final = 0x00001002
B230400: Final = 0x00001003
B460800: Final = 0x00001004
B500000: Final = 0x00001005
B576000: Final = 0x00001006
B921600: Final = 0x00001007
B1000000: Final = 0x00001008
B1152000: Final = 0x00001009
B1500000: Final = 0x0000100A
B2000000: Final = 0x0000100B
B2500000: Final = 0x0000100C
B3000000: Final = 0x0000100D
B3500000: Final = 0x0000100E
B4000000: Final = 0x0000100F
CIBAUD: Final = 0x100F0000

#: c_lflag
ISIG: Final = 0x00001
ICANON: Final = 0x00002
XCASE: Final = 0x00004
ECHO: Final = 0x00008
ECHOE: Final = 0x00010
ECHOK: Final = 0x00020
ECHONL: Final = 0x00040
NOFLSH: Final = 0x00080
TOSTOP: Final = 0x00100
ECHOCTL: Final = 0x00200
ECHOPRT: Final = 0x00400
ECHOKE: Final = 0x00800
FLUSHO: Final = 0x01000
PENDIN: Final = 0x04000
IEXTEN: Final = 0x08000
EXTPROC: Final = 0x10000

#: tcflow(3), tcflush(3), tcsetattr(3)
TCOOFF: Final = 0
TCOON: Final = 1
TCIOFF: Final = 2
TCION: Final = 3
TCIFLUSH: Final = 0
TCOFLUSH: Final = 1
TCIOFLUSH: Final = 2

TCSANOW: Final = 0
TCSADRAIN: Final = 1
TCSAFLUSH: Final = 2

NCC: Final = 8
TIOCM_LE: Final = 0x001
TIOCM_DTR: Final = 0x002
TIOCM_RTS: Final = 0x004
TIOCM_ST: Final = 0x008
TIOCM_SR: Final = 0x010
TIOCM_CTS: Final = 0x020
TIOCM_CAR: Final = 0x040
TIOCM_RNG: Final = 0x080
TIOCM_DSR: Final = 0x100
TIOCM_CD: Final = 0x40
TIOCM_RI: Final = 0x80
TIOCM_OUT1: Final = 0x2000
TIOCM_OUT2: Final = 0x4000
TIOCM_LOOP: Final = 0x8000

N_TTY: Final = 0
N_SLIP: Final = 1
N_MOUSE: Final = 2
N_PPP: Final = 3
N_STRIP: Final = 4
N_AX25: Final = 5
N_X25: Final = 6
N_6PACK: Final = 7
N_MASC: Final = 8
N_R3964: Final = 9
N_PROFIBUS_FDL: Final = 10
N_IRDA: Final = 11
N_SMSBLOCK: Final = 12
N_HDLC: Final = 13
N_SYNC_PPP: Final = 14
N_HCI: Final = 15
N_GIGASET_M101: Final = 16
N_SLCAN: Final = 17
N_PPS: Final = 18
N_V253: Final = 19
N_CAIF: Final = 20
N_GSM0710: Final = 21
N_TI_WL: Final = 22
N_TRACESINK: Final = 23
N_TRACEROUTER: Final = 24
N_NCI: Final = 25
N_SPEAKUP: Final = 26
N_NULL: Final = 27
N_MCTP: Final = 28
N_DEVELOPMENT: Final = 29
N_CAN327: Final = 30

#: The control characters of a fresh terminal: ^C ^\\ DEL ^U ^D ... as in stty sane.
INIT_C_CC: Final = bytes((3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0))
INIT_C_IFLAG: Final = ICRNL | IXON
INIT_C_OFLAG: Final = OPOST | ONLCR
INIT_C_CFLAG: Final = B38400 | CS8 | CREAD | HUPCL
INIT_C_LFLAG: Final = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN


class Termios(CStruct):
    """The kernel's struct termios of TCGETS, 36 bytes."""

    c_iflag: u32 = 0
    c_oflag: u32 = 0
    c_cflag: u32 = 0
    c_lflag: u32 = 0
    c_line: u8 = 0
    c_cc: Annotated[bytes, 19] = b""


class Termios2(CStruct):
    """struct termios2 of TCGETS2, and ktermios: with speeds in bits per second."""

    c_iflag: u32 = 0
    c_oflag: u32 = 0
    c_cflag: u32 = 0
    c_lflag: u32 = 0
    c_line: u8 = 0
    c_cc: Annotated[bytes, 19] = b""
    c_ispeed: u32 = 0
    c_ospeed: u32 = 0


class Termio(CStruct):
    """struct termio of TCGETA."""

    c_iflag: u16 = 0
    c_oflag: u16 = 0
    c_cflag: u16 = 0
    c_lflag: u16 = 0
    c_line: u8 = 0
    c_cc: Annotated[bytes, 8] = b""


class Winsize(CStruct):
    """struct winsize of TIOCGWINSZ."""

    ws_row: u16 = 0
    ws_col: u16 = 0
    ws_xpixel: u16 = 0
    ws_ypixel: u16 = 0
