package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// AccessHint is the advice about a file that this user may not open. Commands run as root leave files of root to the
// serving user: that user is not told to become itself.
func AccessHint(err error) string {
	var at *fs.PathError
	if !errors.As(err, &at) {
		return asTheUser
	}
	return accessHint(at.Path, owner(at.Path), os.Geteuid())
}

const asTheUser = "run the command as the serving user: sudo -u highwater before the command"

// accessHint is for a path of an owner (-1: not known), met by the user me.
func accessHint(path string, owner, me int) string {
	if owner != 0 || me == 0 {
		return asTheUser
	}
	return fmt.Sprintf("%s belongs to root, since a command was run as root. If %s is the serving user: "+
		"sudo chown -R %s: %s; "+
		"else %s", path, userName(me), userName(me), path, asTheUser)
}

// owner is the owner of a file, or of the nearest directory above that can be looked at; -1: not known.
func owner(path string) int {
	for {
		if info, err := os.Stat(path); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				return int(st.Uid)
			}
			return -1
		}
		above := filepath.Dir(path)
		if above == path {
			return -1
		}
		path = above
	}
}

func userName(id int) string {
	u, err := user.LookupId(strconv.Itoa(id))
	if err != nil {
		return strconv.Itoa(id)
	}
	return u.Username
}
