"""Where and how to run on AWS. Copy this file to variables.py, and change what you need.

    cp scripts/ex_variables.py scripts/variables.py

Each variable can also be set in the environment, as DEPLOY_<NAME>, or by an option of the command,
as --<name>. Options override the environment, which overrides this file. Variables left out keep
the values given here.
"""

REGION = "eu-north-1"
# Name and tag of all resources. Resources without the tag are never changed.
PROJECT = "face-blur"

# Made by scripts/infrastructure.py. Leave them empty to read them from the stack.
BUCKET = ""
REPOSITORY = ""
ROLE_ARN = ""

# The image: its tag in the repository, or its full URI (preferably by digest).
IMAGE_TAG = "latest"
IMAGE_URI = ""
# The user of the image, by number: SageMaker expects 0, root, because its folders belong to root.
IMAGE_USER = 0

# Prefixes in the bucket; each ends with a slash. The pipeline uses work/ and failed/.
INPUT_PREFIX = "input/"
OUTPUT_PREFIX = "output/"
PEOPLE_PREFIX = "people/"

# "gpu": the image for GPUs, on a GPU. "cpu": the image for CPUs, whose tag ends in -cpu, on CPUs.
COMPUTE = "gpu"

# Transform jobs, and the asynchronous endpoint. An empty type is ml.g4dn.xlarge, or with
# COMPUTE = "cpu" ml.c6i.2xlarge.
INSTANCE_TYPE = ""
INSTANCE_COUNT = 1
# Seconds for one file, at most 3600. For longer ones use a processing job, or split the video.
TIMEOUT_SECONDS = 3600
# No network for the container; tickets need a network.
NETWORK_ISOLATION = True

# Processing jobs.
PROCESSING_INSTANCE_TYPE = "ml.c6i.2xlarge"
PROCESSING_INSTANCE_COUNT = 1
# The job of collect.py --verify region, which needs no GPU.
VERIFICATION_INSTANCE_TYPE = "ml.c6i.2xlarge"
VOLUME_GB = 100
MAX_RUNTIME_SECONDS = 86400

# The asynchronous endpoint: the most instances that it grows to; without requests it has none.
ASYNC_MAX_INSTANCES = 1
# SNS topics for results and for failures, as arn:aws:sns:...; empty for no messages.
SUCCESS_TOPIC = ""
ERROR_TOPIC = ""

# KMS key for results and disks; empty for the encryption of the bucket.
KMS_KEY = ""
# Permissions boundary of the role, if your organisation requires one.
BOUNDARY_ARN = ""
# Address that gets a message about each failed job; it has to confirm that once.
ALARM_EMAIL = ""
# Private subnets and security groups; empty for the network of SageMaker.
SUBNETS: list[str] = []
SECURITY_GROUPS: list[str] = []

# Prices of an hour in your region, for the worst case that is shown before each job, such as
# {"ml.g4dn.xlarge": 0.75}.
PRICES: dict[str, float] = {}

# Settings of Face blur for every job.
OPTIONS: dict[str, str] = {"FACE_BLUR_EFFECT": "blur"}
