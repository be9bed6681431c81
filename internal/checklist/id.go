package checklist

// ID identifies a line of a checklist. Programs decide by the ID. The peer and earlier releases know the line by the
// same word: no ID ever changes.
type ID string

// The lines of a handover, a takeover and a moment.
const (
	Attestations  ID = "attestations"
	Blocks        ID = "blocks"
	Ceilings      ID = "ceilings"
	Certificate   ID = "certificate"
	Clocks        ID = "clocks"
	Devices       ID = "devices"
	Head          ID = "head"
	Keys          ID = "keys"
	Marks         ID = "marks"
	Moment        ID = "moment"
	Node          ID = "node"
	NodeThere     ID = "node there"
	OtherInstance ID = "other instance"
	Release       ID = "release"
	Signing       ID = "signing"
	Silence       ID = "silence"
	Statement     ID = "statement"
	ThisInstance  ID = "this instance"

	DeviceMarks    ID = "device marks"
	FirstSignature ID = "first signature"
)

// The lines of a check of the machine, and of a drill.
const (
	Alarm          ID = "alarm"
	CertInUse      ID = "certificate in use"
	ClientCA       ID = "client CA"
	Clock          ID = "clock"
	ClockOfNode    ID = "clock of the node"
	ClockOfPeer    ID = "clock of the other instance"
	Configuration  ID = "configuration"
	Device         ID = "device"
	DiskSync       ID = "disk sync"
	DryRun         ID = "dry run"
	FileSystem     ID = "file system"
	FollowedMarks  ID = "followed marks"
	Guard          ID = "guard"
	Handover       ID = "a handover"
	Key            ID = "key"
	Levels         ID = "levels"
	LevelsAhead    ID = "levels ahead"
	Listeners      ID = "listeners"
	MonitorListen  ID = "monitor.listen"
	Permissions    ID = "permissions"
	Protocol       ID = "protocol"
	Queue          ID = "queue"
	RegisterAccess ID = "register access"
	RegisterAhead  ID = "register.ahead"
	RegisterCA     ID = "register.ca"
	RegisterCert   ID = "register.cert"
	RegisterMember ID = "register member"
	RegisterRecord ID = "register record"
	Role           ID = "role"
	RoundTrip      ID = "round trip"
	Runtime        ID = "runtime directory"
	ServerListen   ID = "server.listen"
	SocketListen   ID = "socket.listen"
	StateDirectory ID = "state directory"
	TLS            ID = "TLS"
	Takeover       ID = "a takeover"
	USB            ID = "usb"
	WatermarkFile  ID = "watermark file"
	Watermarks     ID = "watermarks"
)

// The lines of a drill with a handover.
const (
	There      ID = "there"
	SignedHere ID = "signed here"
	Back       ID = "back"
	Missed     ID = "missed levels"
)
