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

// AccessHint is the advice about a file that the user may not open. Commands run as root leave files of root to the
// serving user: the advice never tells the serving user to become the serving user.
func AccessHint(err error) string {
	var at *fs.PathError
	if !errors.As(err, &at) {
		return asTheUser("")
	}
	return accessHint(nearest(at.Path), os.Geteuid())
}

// asTheUser is the advice for a user with the wrong name; name is the right name, or empty.
func asTheUser(name string) string {
	if name == "" {
		name = "highwater"
	}
	return "run the command as the serving user: sudo -u " + name + " before the command"
}

// place is a file, or the nearest directory above that can be looked at.
type place struct {
	path  string
	owner int  // -1: not known
	open  bool // the directory can be searched, and the file is not there
}

// accessHint is for a place met by the user me.
func accessHint(p place, me int) string {
	switch {
	case p.owner > 0 && p.owner != me:
		return asTheUser(knownUser(p.owner))
	case p.owner != 0 || me == 0 || p.open: // a directory of root that everybody may search stays root's
		return asTheUser("")
	}
	return fmt.Sprintf("%s belongs to root, since a command was run as root. If %s is the serving user: "+
		"sudo chown -R %s: %s; "+
		"else %s", p.path, userName(me), userName(me), p.path, asTheUser(""))
}

func nearest(path string) place {
	missing := false
	for {
		info, err := os.Stat(path)
		if err == nil {
			p := place{path: path, owner: -1, open: missing}
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				p.owner = int(st.Uid)
			}
			return p
		}
		missing = errors.Is(err, fs.ErrNotExist)
		above := filepath.Dir(path)
		if above == path {
			return place{path: path, owner: -1}
		}
		path = above
	}
}

// knownUser is the name of a user, empty for a user without a name.
func knownUser(id int) string {
	if name := userName(id); name != strconv.Itoa(id) {
		return name
	}
	return ""
}

func userName(id int) string {
	u, err := user.LookupId(strconv.Itoa(id))
	if err != nil {
		return strconv.Itoa(id)
	}
	return u.Username
}
