"""A file system that is full soon."""

import os
import subprocess

from .box import NotRun


class SmallDisk:
    """A tmpfs; only root can mount one."""

    def __init__(self, box, name, size):
        self.path = box.path(name)
        os.makedirs(self.path, exist_ok=True)
        if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "tmpfs",
                            self.path], stderr=subprocess.DEVNULL) != 0:
            raise NotRun("cannot mount a small file system (not root)")
        box.opened.append(self)

    def resize(self, size):
        subprocess.check_call(["mount", "-o", "remount,size=%d" % size, self.path])

    def close(self):
        subprocess.call(["umount", "-l", self.path])
