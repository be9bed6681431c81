package tezsign_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/tezsign"
)

func secretFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pass")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func TestPassphraseFile(t *testing.T) {
	cases := []struct {
		name, content string
		mode          os.FileMode
		want, err     string
	}{
		{"plain", "secret", 0o600, "secret", ""},
		{"line end", "secret\n", 0o400, "secret", ""},
		{"dos line end", "secret\r\n", 0o600, "secret", ""},
		{"inner spaces and line ends are kept", " a b\n\n", 0o600, " a b\n", ""},
		{"group may read", "secret", 0o640, "", "(mode 0640): chmod 600"},
		{"others may read", "secret", 0o604, "", "users other than the owner can read"},
		{"empty", "\n", 0o600, "", "empty"},
		{"too long", strings.Repeat("x", 1025), 0o600, "", "longer than 1024"},
		{"longest", strings.Repeat("x", 1024) + "\n", 0o600, strings.Repeat("x", 1024), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			source := tezsign.FromFile(secretFile(t, c.content, c.mode))
			for range 2 { // anew each time
				got, err := source.Passphrase(t.Context(), "left")
				if c.err != "" {
					require.ErrorContains(t, err, c.err)
					require.NotContains(t, err.Error(), "secret")
					require.Nil(t, got)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, c.want, string(got))
				clear(got)
			}
		})
	}
}

func TestPassphraseFileThatIsNone(t *testing.T) {
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing"), "/dev/null"} {
		_, err := tezsign.FromFile(path).Passphrase(t.Context(), "left")
		require.Error(t, err, path)
	}
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(secretFile(t, "secret", 0o600), link))
	_, err := tezsign.FromFile(link).Passphrase(t.Context(), "left")
	require.Error(t, err, "a link may point anywhere")
}

func TestPassphraseCredential(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, err := tezsign.FromCredential("tezsign").Passphrase(t.Context(), "left")
	require.ErrorIs(t, err, tezsign.ErrNoPassphrase)
	path := secretFile(t, "secret\n", 0o440) // as an access list of systemd shows
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	got, err := tezsign.FromCredential("pass").Passphrase(t.Context(), "left")
	require.NoError(t, err)
	require.Equal(t, "secret", string(got))
	for _, name := range []string{"", "..", "../pass", "a/b", ".hidden"} {
		_, err := tezsign.FromCredential(name).Passphrase(t.Context(), "left")
		require.ErrorContains(t, err, "not the name of a credential", name)
	}
}
