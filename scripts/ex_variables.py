"""Where to run on AWS, and how. Copy this file to variables.py and change what has to be changed.

    cp scripts/ex_variables.py scripts/variables.py

Each variable can also come from the environment, as DEPLOY_<NAME>, or from an option of the
command, as --<name>; an option goes before the environment, and that before this file. Variables
that are left out have the values given here.
"""

REGION = "eu-north-1"
# What is made is named after the project and tagged with it; nothing else is ever changed.
PROJECT = "face-blur"

# Made by scripts/infrastructure.py, which is where these three are looked up when they are empty.
BUCKET = ""
REPOSITORY = ""
ROLE_ARN = ""

# The image in the repository, by its tag; it may be given whole as IMAGE_URI (best: by digest).
IMAGE_TAG = "latest"
IMAGE_URI = ""

# Prefixes in the bucket; each ends with a slash.
INPUT_PREFIX = "input/"
OUTPUT_PREFIX = "output/"
PEOPLE_PREFIX = "people/"

# Transform jobs. Instances without a GPU work too: ml.c6i.2xlarge, with an image for CPUs.
INSTANCE_TYPE = "ml.g4dn.xlarge"
INSTANCE_COUNT = 1
# Seconds for one file, at most 3600; files that take longer are for a processing job, or split.
TIMEOUT_SECONDS = 3600
# No network for the container; tickets need it off.
NETWORK_ISOLATION = True

# Processing jobs.
PROCESSING_INSTANCE_TYPE = "ml.c6i.2xlarge"
PROCESSING_INSTANCE_COUNT = 1
VOLUME_GB = 100
MAX_RUNTIME_SECONDS = 86400

# A key of KMS for results and disks; empty: the bucket's own encryption.
KMS_KEY = ""
# Private subnets and security groups; empty: the network of SageMaker.
SUBNETS: list[str] = []
SECURITY_GROUPS: list[str] = []

# Settings of Face blur (see docs/settings.md), for every job.
OPTIONS: dict[str, str] = {"FACE_BLUR_EFFECT": "blur"}
